"""A build counts the fields that it could not read; the posts stay."""

import json
from pathlib import Path

from tests.pipeline.fakes import small_dump
from tests.pipeline.warm import Warm


def test_fields_that_could_not_be_read_are_counted_wherever_a_build_is_told_of(m3h: Warm, tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path / "source", 6)
    records = [json.loads(line) for line in dump.read_text().splitlines()]
    wrong = [{"split": "part2"}, {"split": 3}, {"lang": {}, "split": "x"}, {"created_at": []}]
    changed = [{**record, **change} for record, change in zip(records, [*wrong, {}, {}, {}, {}], strict=False)]
    dump.write_text("".join(json.dumps(record) + "\n" for record in changed))
    data = tmp_path / "d"
    words = ["--dumps", dump, "--images", images, "--dataset", data, "--features", "none", "--workers", 1]
    words += ["--set", "clean.min_hashtag_count=1", "clean.min_tokens=1", "clean.languages=[]"]

    said = m3h.run("build", *words, "--progress", "none", "--json")
    expected = {"created_at": 1, "lang": 1, "split": 3}
    assert said.code == 0, said.printed
    assert (said.json["read"], said.json["unread_fields"]) == (len(changed), expected)
    assert "bad_field" not in said.json["dropped"]
    assert json.loads((data / "manifest.json").read_text())["counts"]["unread_fields"] == expected
    assert m3h.run("stats", "--dataset", data, "--json").json["unread_fields"] == expected
    assert "split 3" in m3h.run("stats", "--dataset", data).printed
    assert m3h.run("verify", "--dataset", data).code == 0
    assert "created_at 1, lang 1, split 3" in m3h.run("build", *words, "--progress", "none").printed
