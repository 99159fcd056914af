"""What may be asked, by whom, and how it is described."""

import base64
import json
import re
from typing import Any

import pytest

from m3h.model.serving.guard import refusal
from m3h.model.serving.messages import MAX_IMAGE, MAX_TEXT, Answer, Question, question_of
from m3h.model.serving.openapi import REFUSALS, openapi


def asked(**fields: Any) -> Question:
    return question_of(json.dumps(fields).encode())


def test_a_picture_comes_in_base64() -> None:
    assert asked(text="a", image=base64.b64encode(b"\xff\xd8\xff").decode()).image == b"\xff\xd8\xff"
    assert asked(text="a").image is asked(text="a", image=None).image is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "request: invalid JSON: EOF"),
        (b'{"text": "a"', "request: invalid JSON: EOF"),
        (b"\xff\xfe", "request: invalid JSON"),
        (b"[]", "request: input should be an object."),
        (b"{}", "text: field required."),
        (b'{"text": 3}', "text: input should be a valid string."),
        (b'{"text": "a", "picture": "b"}', "picture: extra inputs are not permitted; known fields: text, alt, image"),
        (b'{"text": "a", "image": 3}', "image: should be a JPEG in base64."),
        (b'{"text": "a", "image": "a b"}', "image: should be a JPEG in base64 ("),
        (json.dumps({"text": "a" * (MAX_TEXT + 1)}).encode(), "text: string should have at most 20000 characters."),
        (json.dumps({"text": "a", "image": "A" * (MAX_IMAGE * 2)}).encode(), "image: should have at most 10,000,000"),
    ],
)
def test_what_is_no_question_is_one_line(body: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        question_of(body)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:9", "127.0.0.1"])
def test_the_servers_own_page_and_programs_may_use_it(host: str) -> None:
    assert refusal(host, None) is None
    assert refusal(host, f"http://{host}") is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example:8765", None),
        ("evil.example:8765", "http://evil.example:8765"),
        ("127.0.0.1.evil.example", None),
        ("localhost:8765", "http://evil.example"),
        ("localhost:8765", "null"),
        ("localhost:8765", "http://localhost:3000"),
        ("localhost:8765", "https://localhost:8765"),
        ("", None),
        ("[::1]:8765", None),
    ],
)
def test_no_page_of_another_server_may(host: str, origin: str | None) -> None:
    assert refusal(host, origin) is not None


def test_the_description_names_every_field_and_every_refusal_and_all_it_refers_to() -> None:
    described = openapi("runs/full")
    schemas = described["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert named == set(schemas)
    assert set(schemas["Question"]["properties"]) == set(Question.model_fields)
    assert schemas["Question"]["required"] == ["text"]
    assert schemas["Question"]["properties"]["image"]["contentEncoding"] == "base64"
    assert set(schemas["Answer"]["properties"]) == set(Answer.model_fields)
    assert set(described["paths"]["/predict"]["post"]["responses"]) == {"200", *map(str, REFUSALS)}
