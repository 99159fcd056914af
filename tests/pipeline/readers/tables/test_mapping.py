"""Fields of other names are read where the configuration says what they are."""

import json
import re
from pathlib import Path

import pytest

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.readers.mapping import refuse_format
from m3h.pipeline.rules import ReadRules
from m3h.schemas.config import resolve
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import rules_of
from m3h.schemas.posts import Dropped, ImageRef
from tests.pipeline.readers.tables.made import PHOTO, delimited, file, posts, raw, read

MINE = {
    "tweet": {"id": 17, "when": "2019-01-03"},
    "body": "a long walk #Tide",
    "media": [{"url": PHOTO, "what": "the sea"}],
    "labels": [{"name": "Sea"}],
    "text": "not this one",
}
FIELDS = {
    "id": "tweet.id",
    "text": "body",
    "created_at": "tweet.when",
    "image_url": "media[0].url",
    "alt": "media[0].what",
    "hashtags": "labels[].name",
    "split": "'test'",
}


def test_json_of_ones_own(tmp_path: Path) -> None:
    (found,) = posts(file(tmp_path, json.dumps(MINE)), ReadRules(fields=FIELDS))
    assert (found.post_id, found.text, found.created_at) == ("17", "a long walk #Tide", "2019-01-03")
    assert (found.hashtags, found.split) == (("sea",), "test")
    assert found.images == (ImageRef(url=PHOTO, alt="the sea"),)


def test_what_is_not_mapped_has_its_usual_name(tmp_path: Path) -> None:
    record = {"id": 1, "says": "a", "image": "a.jpg", "lang": "en"}
    (found,) = posts(file(tmp_path, json.dumps([record])), ReadRules(fields={"text": "says"}))
    assert (found.post_id, found.text, found.lang, found.images) == ("1", "a", "en", (ImageRef("a.jpg"),))


def test_columns_of_a_table_with_any_name(tmp_path: Path) -> None:
    delimited(";")(tmp_path / "dump", ("post.number", "what they said", "pic"), [("1", "a", "a.jpg"), ("", "b", "")])
    rules = ReadRules(fields={"id": "post.number", "text": "what they said", "image": "pic"})
    first, second = read(tmp_path / "dump", rules)
    assert (getattr(first, "post_id", ""), getattr(first, "images", ())) == ("1", (ImageRef("a.jpg"),))
    assert isinstance(second, Dropped)
    assert (second.reason, second.position) == ("missing_field", 2)
    line = raw(tmp_path / "dump", 1, rules)
    (again,) = posts(file(tmp_path / "", line), rules)
    assert again == first


def test_an_expression_that_meets_what_it_cannot_take_costs_the_record(tmp_path: Path) -> None:
    (found,) = read(file(tmp_path, json.dumps(MINE)), ReadRules(fields={"id": "tweet.id", "text": "join(' ', tweet)"}))
    assert isinstance(found, Dropped)
    assert (found.reason, found.detail[:10]) == ("bad_field", "text: join")


@pytest.mark.parametrize(
    ("assignment", "named"),
    [
        ("read.fields.id=tweet[", "no jmespath expression"),
        ("read.fields.identity=id", "identity"),
        ("read.fields=3", "read.fields"),
        ("read.fields.id=[1]", "read.fields.id"),
    ],
)
def test_a_wrong_mapping_is_wrong_use_in_one_line(assignment: str, named: str) -> None:
    with pytest.raises(UsageError, match=re.escape(named)) as raised:
        resolve(BuildConfig, None, [assignment])
    assert "\n" not in str(raised.value)


def test_a_mapping_belongs_to_what_decides_the_records(tmp_path: Path) -> None:
    written = tmp_path / "c.yaml"
    written.write_text('read:\n  fields: {id: tweet.id, image: "media[0].url"}\n')
    of_file = resolve(BuildConfig, written)
    of_words = resolve(BuildConfig, None, ["read.fields.id=tweet.id", "read.fields.image=media[0].url"])
    assert of_file == of_words
    assert rules_of(of_file.model_dump(mode="json")) != rules_of(BuildConfig().model_dump(mode="json"))


def test_a_format_and_a_mapping_are_one_too_many() -> None:
    refuse_format(ReadRules(fields=FIELDS), "jsonl")
    with pytest.raises(UsageError, match=r"read\.fields"):
        refuse_format(ReadRules(fields=FIELDS), "v1")
