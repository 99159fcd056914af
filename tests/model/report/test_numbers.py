"""The numbers of a report, worked out by hand on predictions that are written here."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from m3h.model.config import Config
from m3h.model.report import figures
from m3h.model.report.gallery import POST_BITS, RUN_BITS, write_run
from m3h.model.report.groups import FinishedRun, Group, grouped
from m3h.model.report.lineage import judged
from m3h.model.runs.run import RunMetadata
from m3h.model.scoring.calibration import Calibration
from m3h.model.scoring.predictions import Prediction, Record, write_records
from m3h.model.scoring.significance import compare, compare_seeds
from m3h.schemas.errors import IntegrityError, UsageError
from m3h.schemas.page.scripts import Names


def record(i: int, *phrases: str, gold: Sequence[str] = ("storm hour",), text: str = "a storm hour") -> Record:
    predictions = [Prediction(phrase=phrase, score=0.5, attribution="text") for phrase in phrases]
    return Record(post_id=str(i), tokens=text.split(), keyphrases=list(gold), predictions=predictions)


def run(folder: Path, records: Sequence[Record], seed: int = 1, **fields: object) -> FinishedRun:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keyphrases.json").write_text('{"storm hour": 12}')
    (folder / "scores.json").write_text('{"best_epoch": 2}')
    metadata = RunMetadata("data", "0" * 64, {}, ["text"])
    return FinishedRun(folder, Config(seed=seed, **fields), metadata, "test", records)  # type: ignore[arg-type]


RIGHT, WRONG = [record(0, "storm hour"), record(1, "storm hours")], [record(0, "storm hour"), record(1, "kca")]
"""Both posts right (by stems), and one of two."""


def test_runs_that_differ_by_their_seed_alone_are_one_group(tmp_path: Path) -> None:
    runs = [
        run(tmp_path / "a", RIGHT, seed=1),
        run(tmp_path / "b", RIGHT, seed=1, dropout=0.3),
        run(tmp_path / "c", WRONG, seed=2),
    ]
    groups = grouped(runs)
    assert [(group.label, [one.folder.name for one in group.runs]) for group in groups] == [
        ("gen-cls-m3h dropout=0.1", ["a", "c"]),
        ("gen-cls-m3h dropout=0.3", ["b"]),
    ]
    assert grouped(runs[:1])[0].label == "gen-cls-m3h"
    other = run(tmp_path / "d", RIGHT, system="gen-copy", dropout=0.3)
    assert [group.label for group in grouped([runs[0], other])] == ["gen-cls-m3h", "gen-copy"]


def test_runs_of_other_posts_and_a_run_named_twice_are_refused(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", RIGHT), run(tmp_path / "b", [record(7, "kca"), record(8, "kca")])
    with pytest.raises(UsageError, match=r"a and .*b were not scored on the same posts"):
        grouped([one, other])
    with pytest.raises(UsageError, match="a run is named twice"):
        grouped([one, one])


def test_mean_and_deviation_over_seeds_and_the_posts_without_leaks(tmp_path: Path) -> None:
    """F1@1 is 1 and 1/2: mean 3/4, deviation 1/sqrt(8). Of post 1 alone it is 1 and 0."""
    group = Group("full", [run(tmp_path / "a", RIGHT), run(tmp_path / "b", WRONG)])
    rows = figures.score_table([group], [{"1"}], "cmkp")
    assert [row["part"] for row in rows] == [*figures.PARTS.values(), "without leaks"]
    assert rows[0]["scores"]["f1@1"] == {"mean": pytest.approx(0.75), "sd": pytest.approx(8**-0.5)}
    assert (rows[0]["posts"], rows[0]["runs"], rows[3]["posts"]) == (2, 2, 1)
    assert rows[1]["scores"]["f1@1"]["mean"] == pytest.approx(0.75)
    assert rows[3]["scores"]["f1@1"] == {"mean": pytest.approx(0.5), "sd": pytest.approx(0.5**0.5)}
    (alone, *_) = figures.score_table([Group("one", group.runs[:1])], [None], "cmkp")
    assert alone["scores"]["f1@1"] == {"mean": pytest.approx(1.0), "sd": None}


def test_every_definition_and_the_chosen_phrases(tmp_path: Path) -> None:
    """Post 1 has the right phrase and a wrong one, post 2 two wrong ones: P is 1/2 and 0, R is 1 and 0."""
    posts = [record(0, "storm hour", "kca"), record(1, "kca", "vma")]
    one = run(tmp_path / "a", posts, select="last:2")
    (one.folder / "predictions").mkdir()
    write_records(one.folder / "predictions" / "last-2.jsonl", posts)
    rows = figures.definitions_table([Group("full", [one])])
    assert [row["definition"] for row in rows] == ["cmkp", "per-post", "fixed-k", "aimkp"]
    assert rows[1]["scores"]["f1@M"]["mean"] == pytest.approx((2 / 3 + 0) / 2)
    assert rows[1]["scores"]["f1@O"]["mean"] == pytest.approx(1 / 2)
    assert rows[1]["phrases"] == 2.0  # each is right with chance 1/4: 2 x 1/4 / 2 is less than 2 x 2/4 / 3
    assert rows[1]["auto"]["mean"] == rows[1]["scores"]["f1@M"]["mean"]
    chances = figures.reliabilities([Group("full", [one])])
    assert chances["calibration"] == [{"group": "full", "error": 0.0, "why": None}]
    (row,) = chances["reliability"]
    assert (row["chance"], row["right"], row["phrases"]) == (0.25, 0.25, 4)


@pytest.mark.parametrize(
    ("select", "stored", "why"),
    [
        ("valid", None, "valid.jsonl: not there, and chances are learned from it"),
        ("valid", "x", "valid.jsonl, line 1: "),
        ("valid", '{"keyphrases": ["a"], "predictions": [{"phrase": "a", "score": NaN}]}', "line 1: "),
        ("test", "", "its chances were learned from these posts"),
    ],
)
def test_a_run_without_chances_says_why(tmp_path: Path, select: str, stored: str | None, why: str) -> None:
    """And its group has none, though the other run of it has."""
    one, other = run(tmp_path / "a", RIGHT, select="last:2"), run(tmp_path / "b", RIGHT, seed=2, select=select)
    for of, lines in ((one, ""), (other, stored)):
        (of.folder / "predictions").mkdir()
        if lines is not None:
            (of.folder / "predictions" / f"{of.config.select.replace(':', '-')}.jsonl").write_text(lines)
    write_records(one.folder / "predictions" / "last-2.jsonl", RIGHT)
    groups = [Group("full", [one, other])]
    assert [row["auto"] for row in figures.definitions_table(groups)] == [None] * 4
    chances = figures.reliabilities(groups)
    (row,) = chances["calibration"]
    assert row["error"] is None
    assert why in row["why"]
    assert chances["reliability"] == []


def test_a_split_of_another_dataset_is_none_that_chances_were_learned_from(tmp_path: Path) -> None:
    one = run(tmp_path / "a", RIGHT, select="test")
    (one.folder / "predictions").mkdir()
    write_records(one.folder / "predictions" / "test.jsonl", RIGHT)
    assert isinstance(one.chances, str)
    assert isinstance(replace(one, is_own=False).chances, Calibration)


def test_chances_are_not_known_where_no_post_has_a_keyphrase(tmp_path: Path) -> None:
    one = run(tmp_path / "a", [record(0, "storm hour", gold=())], select="last:2")
    (one.folder / "predictions").mkdir()
    write_records(one.folder / "predictions" / "last-2.jsonl", RIGHT)
    (row,) = figures.reliabilities([Group("full", [one])])["calibration"]
    assert row == {"group": "full", "error": None, "why": "no post here has a keyphrase and a phrase with a score."}


def test_figure_5_has_the_posts_of_each_subset(tmp_path: Path) -> None:
    group = Group("full", [run(tmp_path / "a", RIGHT), run(tmp_path / "b", WRONG)])
    found = figures.subsets([group], "cmkp")
    assert [(row["subset"], row["posts"], row["mean"]) for row in found["frequency"]] == [("10-19", 2, 0.75)]
    assert [row["subset"] for row in found["length"]] == ["0-9"]


def test_seeds_are_compared_by_the_mean_of_each_post(tmp_path: Path) -> None:
    """Post 0 is right in both; post 1 in both seeds of one system and in one of two of the other: 1 - 3/4."""
    found = compare_seeds([RIGHT, RIGHT], [RIGHT, WRONG], "cmkp")["f1@1"]
    assert found["difference"] == pytest.approx(0.25)
    assert found["t"] == pytest.approx(1.0)  # differences 0 and 1/2: mean 1/4, standard error 1/4
    assert found["p"] == pytest.approx(0.5)
    assert compare_seeds([RIGHT, RIGHT], [WRONG], "cmkp") == compare(RIGHT, WRONG, "cmkp")
    with pytest.raises(UsageError, match="not scored on the same posts"):
        compare_seeds([RIGHT], [RIGHT, RIGHT[:1]], "cmkp")
    groups = [Group("one", [run(tmp_path / "a", WRONG)]), Group("two", [run(tmp_path / "b", RIGHT)])]
    rows = figures.comparisons(groups, "cmkp")
    assert {row["group"] for row in rows} == {"two"}
    assert (rows[0]["score"], rows[0]["difference"]) == ("F1@1", pytest.approx(0.5))
    assert {row["part"] for row in rows} == {"all keyphrases", "present in the text"}


def test_what_an_input_carries_is_the_share_of_the_score_that_is_lost(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, RIGHT) for name in "abc"]
    for one, changed, p in ((runs[0], 0.3, 0.01), (runs[1], 0.5, 0.04)):  # the third was not scored so
        rows = [{"input": "ocr", "way": "without", "all": {"f1@1": changed}, "p": p}]
        (one.folder / "robustness-test.json").write_text(
            json.dumps({"definition": "cmkp", "all": {"f1@1": 0.8}, "rows": rows})
        )
    assert figures.robustness([Group("full", runs)], "cmkp") == [
        {"group": "full", "runs": 2, "input": "ocr", "way": "without", "plain": 0.8, "f1": 0.4,
         "lost": pytest.approx(0.5), "p": 0.04}
    ]  # fmt: skip
    assert figures.robustness([Group("none", runs[2:])], "cmkp") == []
    assert figures.robustness([Group("full", runs)], "per-post") == []


def test_a_damaged_file_of_robustness_is_named(tmp_path: Path) -> None:
    one = run(tmp_path / "a", RIGHT)
    (one.folder / "robustness-test.json").write_text('{"definition": "cmkp", "all": {}, "rows": []}')
    with pytest.raises(IntegrityError, match=r"robustness-test\.json: not what m3h writes"):
        figures.robustness([Group("full", [one])], "cmkp")
    (one.folder / "log.jsonl").write_text('{"run": {}}\n7\n')
    with pytest.raises(IntegrityError, match=r"log\.jsonl: not what m3h writes"):
        figures.curves([Group("full", [one])])


def test_a_prediction_is_judged_by_stems(tmp_path: Path) -> None:
    found = judged(record(1, "kca", "Storm hours", gold=["storm hour", "flower shows"], text="the storm hour"))
    assert [(one["phrase"], one["right"], one["present"]) for one in found["predictions"]] == [
        ("kca", False, False),
        ("Storm hours", True, True),
    ]
    assert found["keyphrases"] == [
        {"phrase": "storm hour", "present": True, "rank": 2},
        {"phrase": "flower shows", "present": False, "rank": 0},
    ]


def test_the_index_says_what_was_found_and_where_it_came_from(tmp_path: Path) -> None:
    origins = Names()
    posts = [
        record(1, "storm hour", "kca", gold=["storm hour", "flower show"]),
        record(2, "kca"),
        record(3, "kca", "flower show", gold=["flower show"]),
    ]
    write_run(tmp_path, 4, run(tmp_path / "a", posts), origins)
    text = (tmp_path / "run4-index.js").read_text().removeprefix('m3h.loaded("run4","index",').removesuffix(");\n")
    index = json.loads(text)
    named = [{name for bit, name in enumerate(RUN_BITS) if bits >> bit & 1} for bits in index["found"]]
    assert named == [
        {"first", "any", "present_found", "absent_missed"},
        {"present_missed"},
        {"any", "absent_found"},
    ]
    assert (index["origins"], list(origins.numbers)) == ([1, 0, 1], ["text"])
    assert len(POST_BITS) == 6
