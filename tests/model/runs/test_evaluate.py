"""Subsets of a split, and two runs compared."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.model.cli import main
from m3h.model.scoring.metrics import score
from m3h.model.scoring.predictions import Prediction, Record, read_records, with_scores, write_records
from m3h.model.scoring.significance import compare, paired_difference, paired_t, two_sided
from m3h.model.scoring.subsets import subset_scores
from m3h.schemas.errors import UsageError


def record(number: int, right: bool, **columns: list[str]) -> Record:
    found = "storm hour" if right else "kca"
    columns = {"keyphrases": ["storm hour"], "tokens": ["look"] * number, **columns}
    return Record(post_id=str(number), predictions=[Prediction(phrase=found)], **columns)


RECORDS = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=20).map(
    lambda rows: [record(number, right) for number, right in rows]
)


@pytest.mark.parametrize(
    ("t", "degrees", "p"),
    [(2.228139, 10, 0.05), (12.706205, 1, 0.05), (3.169273, 10, 0.01), (1.960406, 5_371, 0.05), (0.0, 7, 1.0)],
)
def test_p_of_student_s_t_as_printed_in_tables(t: float, degrees: int, p: float) -> None:
    assert two_sided(t, degrees) == pytest.approx(p, abs=2e-7)
    assert two_sided(-t, degrees) == two_sided(t, degrees)


def test_the_paired_t_test_by_hand() -> None:
    t, p = paired_t(np.array([1.0, 2.0, 3.0]))  # mean 2, deviation 1: t = 2 sqrt(3), p of 2 degrees
    assert t == pytest.approx(2 * 3**0.5)
    assert p == pytest.approx(1 - t / (2 + t * t) ** 0.5)
    assert paired_t(np.zeros(5)) == (None, 1.0)
    assert paired_t(np.ones(5)) == (None, 0.0)
    assert paired_t(np.ones(1)) == (None, 1.0)


def test_a_run_does_not_differ_from_itself() -> None:
    records = [record(i, i % 3 == 0) for i in range(30)]
    compared = compare(records, records, "cmkp")["f1@1"]
    assert (compared["difference"], compared["low"], compared["high"], compared["p"], compared["p_bootstrap"]) == (
        0,
        0,
        0,
        1,
        1,
    )


@pytest.mark.parametrize("definition", ["cmkp", "per-post", "fixed-k"])
def test_a_better_run_is_distinguished_from_chance_the_same_way_each_time(definition: str) -> None:
    draw = random.Random(3)
    posts = [(i, draw.random()) for i in range(400)]
    good, bad = ([record(i, chance < share) for i, chance in posts] for share in (0.5, 0.4))
    compared = compare(good, bad, definition)
    wins = score([r.phrases for r in good], [r.keyphrases for r in good], None, definition=definition)["all"]
    losses = score([r.phrases for r in bad], [r.keyphrases for r in bad], None, definition=definition)["all"]
    assert compared["f1@1"]["difference"] == pytest.approx(wins["f1@1"] - losses["f1@1"])
    assert 0 < compared["f1@1"]["low"] < compared["f1@1"]["difference"] < compared["f1@1"]["high"]
    assert compared["f1@1"]["p"] < 1e-6
    assert compared["f1@1"]["p_bootstrap"] < 0.01
    assert compare(good, bad, definition) == compared
    assert compare(bad, good, definition)["map@5"]["low"] == pytest.approx(-compared["map@5"]["high"], abs=1e-6)


def test_present_and_absent_keyphrases_are_compared_on_their_own() -> None:
    """The first run finds the keyphrase of every text, the second one no present and all absent keyphrases."""
    texts = [["the", "storm", "hour"], ["look", "at", "this"]] * 20
    one = [record(i, True, tokens=text) for i, text in enumerate(texts)]
    two = [record(i, "storm" not in text, tokens=text) for i, text in enumerate(texts)]
    compared = compare(one, two, "cmkp")
    assert compared["f1@1"]["difference"] == pytest.approx(0.5)
    assert compared["present"]["f1@1"]["difference"] == pytest.approx(1.0)
    assert compared["present"]["f1@1"]["p"] == 0.0
    assert (compared["absent"]["f1@1"]["difference"], compared["absent"]["f1@1"]["p"]) == (0.0, 1.0)
    assert "absent" not in compare(one[:1], two[:1], "cmkp")


def test_a_difference_has_no_p_where_scipy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = [record(i, True) for i in range(4)], [record(i, i > 0) for i in range(4)]
    assert paired_difference(two, one, ("f1", 1), definition="cmkp") == (
        pytest.approx(-0.25),
        pytest.approx(0.391, abs=1e-3),
    )
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert paired_difference(two, one, ("f1", 1), definition="cmkp") == (pytest.approx(-0.25), None)


def test_other_posts_are_not_compared() -> None:
    with pytest.raises(UsageError, match="not scored on the same posts"):
        compare([record(1, True)], [record(2, True)], "cmkp")
    with pytest.raises(UsageError, match="no post of this split has a keyphrase"):
        compare([record(1, True, keyphrases=[])], [record(1, True, keyphrases=[])], "cmkp")


@given(RECORDS)
def test_every_post_is_in_one_subset_of_frequency_and_of_length(records: list[Record]) -> None:
    groups = subset_scores(records, {"storm hour": 15}, "cmkp")
    for group in ("frequency", "length"):
        assert sum(subset["posts"] for subset in groups[group].values()) == len(records)


def test_subsets_by_hand() -> None:
    records = [
        record(12, True, keyphrases=["storm hour", "new"], ocr=["storms"], attributes=["man"]),
        record(45, False, attributes=["hour"]),
    ]
    groups = subset_scores(records, {"storm hour": 20}, "cmkp")
    assert {
        group: {name: values["posts"] for name, values in subsets.items()} for group, subsets in groups.items()
    } == {
        "frequency": {"0": 1, "20-49": 1},
        "length": {"10-19": 1, "40+": 1},
        "picture": {"OCR words": 1, "no OCR words": 1, "OCR has a keyphrase's word": 1, "attributes have one": 1},
    }
    assert groups["picture"]["OCR words"]["f1@1"] == pytest.approx(2 / 3)  # P 1, R 1/2
    assert groups["length"]["40+"]["f1@1"] == 0.0


def test_records_come_back_as_they_were_and_a_bad_line_is_named(tmp_path: Path) -> None:
    records = [record(3, True, ocr=["\N{SNOWMAN}\u2028"]), record(4, False)]
    write_records(tmp_path / "a.jsonl", records)
    assert read_records(tmp_path / "a.jsonl") == records
    (tmp_path / "b.jsonl").write_text('{"keyphrases": [], "predictions": []}\n{"keyphrases": ["kca"]}\n')
    with pytest.raises(UsageError, match=r"b\.jsonl, line 2: predictions: Field required"):
        read_records(tmp_path / "b.jsonl")


def finished(folder: Path, share: float) -> Path:
    """The folder of a run that predicted a share of 200 posts right."""
    draw = random.Random(5)
    write_records(folder / "predictions" / "test.jsonl", [record(i, draw.random() < share) for i in range(1, 201)])
    (folder / "scores.json").write_text("{}")
    (folder / "keyphrases.json").write_text(json.dumps({"storm hour": 3}))
    return folder


def test_no_score_is_made_up_where_only_the_origin_of_phrases_was_added() -> None:
    known = Record(keyphrases=["a"], predictions=[Prediction(phrase="a"), Prediction(phrase="b", score=0.5)])
    added = Record(
        keyphrases=["a"], predictions=[Prediction(phrase=p, score=0.0, attribution="text") for p in ("a", "b")]
    )
    assert [(p.score, p.attribution) for p in with_scores(added, known).predictions] == [(None, "text"), (0.5, "text")]


def test_evaluate_prints_a_table_and_a_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, baseline = finished(tmp_path / "one", 0.6), finished(tmp_path / "two", 0.3)
    assert main(["evaluate", str(run), "--against", str(baseline)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("test (cmkp, 200 posts): F1@1 0.")
    assert lines[2].split() == ["posts", "F1@1", "F1@3", "F1@5", "MAP@5", "NDCG@5"]
    assert [line.split(":")[0] for line in lines if line.startswith("frequency: 1-9")]
    first = lines.index(f"against {baseline}:") + 1
    assert lines[first].split()[0] == "F1@1"
    assert "bootstrap [+0." in lines[first]


def test_a_comparison_without_scipy_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, baseline = finished(tmp_path / "one", 0.6), finished(tmp_path / "two", 0.3)
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert main(["evaluate", str(run)]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(run), "--against", str(baseline)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: a comparison of two runs needs scipy: pip install 'm3h[significance]'.\n"
