"""The description of the endpoint for programs, in OpenAPI 3.1."""

from typing import Any

from pydantic.json_schema import models_json_schema

from m3h.model.serving.messages import MAX_BODY, Answer, Question, Refusal

REFUSALS = {
    400: "The request was cut off, or its body is no JSON.",
    403: "It comes from a page of another server, or asks for another host.",
    408: "Its body came too slowly.",
    413: f"It has more than {MAX_BODY:,} bytes.",
    415: "Its content is not application/json.",
    422: "A field is wrong, the picture cannot be used, or the text has no word.",
    429: "Too many requests wait already.",
}
"""Status -> when it is answered. Each has a body of one line, see `Refusal`."""


def openapi(run: str) -> dict[str, Any]:
    """The description of a server of this run."""
    modes = [(Question, "validation"), (Answer, "serialization"), (Refusal, "serialization")]
    _, schemas = models_json_schema(modes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    refusals = {str(status): {"description": why, "content": _json("Refusal")} for status, why in REFUSALS.items()}
    answered = {"200": {"description": "The keyphrases of the post.", "content": _json("Answer")}}
    operation = {
        "operationId": "predict",
        "summary": "The keyphrases of a post, by its text and its picture.",
        "requestBody": {"required": True, "content": _json("Question")},
        "responses": {**answered, **refusals},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"m3h serve {run}", "version": "1", "description": "Keyphrases of posts with pictures."},
        "paths": {"/predict": {"post": operation}},
        "components": {"schemas": schemas["$defs"]},
    }


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}}
