"""What the server is asked and what it answers, as JSON. Descriptions of the fields are those of `/openapi.json`."""

import base64
import binascii
from typing import Annotated

import pydantic

MAX_TEXT = 20_000
"""Characters of a text or of a description."""
MAX_IMAGE = 10_000_000
"""Bytes of a picture."""
MAX_BODY = MAX_IMAGE * 4 // 3 + 12 * MAX_TEXT + 10_000
"""Bytes of a request: a picture in base64, two texts with each letter as an escape, and the names of the fields."""


def _decoded(value: object) -> object:
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("should be a JPEG in base64")
    if len(value) > MAX_IMAGE * 4 // 3 + 4:
        raise ValueError(f"should have at most {MAX_IMAGE:,} bytes")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"should be a JPEG in base64 ({error})") from error


class _Message(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Question(_Message):
    """A post as its author wrote it."""

    text: Annotated[str, pydantic.Field(max_length=MAX_TEXT, description="The text of the post, hashtags and all.")]
    alt: Annotated[
        str, pydantic.Field(max_length=MAX_TEXT, description="What its author says that the picture shows.")
    ] = ""
    image: Annotated[
        bytes | None,
        pydantic.Field(
            description=f"The picture: a colour JPEG of at most {MAX_IMAGE:,} bytes, in base64.",
            json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/jpeg"},
        ),
        pydantic.PlainValidator(_decoded, json_schema_input_type=str | None),
    ] = None
    details: Annotated[
        bool,
        pydantic.Field(description="Also answer `attention`, and `without`: the keyphrases without each modality."),
    ] = False


class Phrase(_Message):
    """A predicted keyphrase."""

    phrase: str
    score: Annotated[float, pydantic.Field(description="Its probability, or the score that a combined list ranks by.")]
    origin: Annotated[
        str, pydantic.Field(description="generated, classifier, or what it is copied from: text, alt or ocr.")
    ]


class Box(_Message):
    """Something found in the picture, in pixels of the upright picture."""

    name: str
    left: float
    top: float
    width: float
    height: float
    score: Annotated[float | None, pydantic.Field(description="0 to 1.")] = None


class Label(_Message):
    """An attribute of the picture."""

    name: str
    score: Annotated[float | None, pydantic.Field(description="0 to 1.")] = None


class Heatmap(_Message):
    """Where the text looks at the picture, by one head of the last layer, or by the mean of all."""

    title: str
    png: Annotated[str, pydantic.Field(description="A PNG in base64.")]


class Word(_Message):
    """A word of the text, and how much the picture looks at it. The weights of all words sum to 1."""

    word: str
    weight: float


class Answer(_Message):
    """The keyphrases of a post, and what they come from."""

    keyphrases: Annotated[list[Phrase], pydantic.Field(description="Best first.")]
    tokens: Annotated[list[str], pydantic.Field(description="The text as the model reads it.")]
    words: Annotated[list[Box], pydantic.Field(description="Words read in the picture.")] = []
    objects: Annotated[list[Box], pydantic.Field(description="Objects found in the picture.")] = []
    labels: Annotated[list[Label], pydantic.Field(description="Attributes of the picture, best first.")] = []
    heatmaps: Annotated[list[Heatmap], pydantic.Field(description="With `details`.")] = []
    attended: Annotated[list[Word], pydantic.Field(description="With `details`.")] = []
    without: Annotated[
        dict[str, list[Phrase]],
        pydantic.Field(description="With `details`: the keyphrases as if the post had nothing of this input."),
    ] = {}
    notes: Annotated[list[str], pydantic.Field(description="What a reader must know, such as random weights.")] = []


class Refusal(_Message):
    """Why there is no answer: one line that says what was expected, what was found and what to do."""

    error: str


def question_of(body: bytes) -> Question:
    """The question of a request's body.

    Raises:
        ValueError: it is none; one line names the field, what was expected and what was found.
    """
    try:
        return Question.model_validate_json(body)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(map(str, first["loc"])) or "request"
        known = f"; known fields: {', '.join(Question.model_fields)}" if first["type"] == "extra_forbidden" else ""
        said = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{field}: {said[:1].lower()}{said[1:]}{known}.") from error
