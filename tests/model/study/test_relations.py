"""Figure 9: the sheet that is labelled by hand, and what is read of it; and which posts Figures 7 and 8 show."""

import csv
from pathlib import Path

import pytest

from m3h.model.cli import main
from m3h.model.scoring.predictions import Prediction, Record
from m3h.model.study.cases import SHOWN, chosen_posts
from m3h.model.study.relations import RELATIONS, by_relation, check_posts, read_sheet, write_sheet
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from tests.model.fakes import fake_post, write_dataset

HEAD = "post_id,text_is_represented,image_adds\n"


def record(post: int, text: str, gold: str, first: str) -> Record:
    return Record(post_id=str(post), tokens=text.split(), keyphrases=[gold], predictions=[Prediction(phrase=first)])


def test_the_sheet_has_the_posts_of_test_and_no_cell_is_a_formula(pictured: Path, tmp_path: Path) -> None:
    sheet = write_sheet(Dataset(pictured), tmp_path)
    with open(sheet["sheet"], newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["post_id"] for row in rows) == [f"test-{i:05d}" for i in range(6)]
    assert all((tmp_path / "pictures" / f"{row['post_id']}.jpg").is_file() for row in rows)
    with pytest.raises(UsageError, match="is there already"):
        write_sheet(Dataset(pictured), tmp_path)
    hostile = write_dataset(tmp_path / "d", [fake_post(1, "=HYPERLINK( x )", ["+1"], "test")])
    write_sheet(Dataset(hostile), tmp_path / "hostile")
    assert "test-00001,,,'+1,'=HYPERLINK( x )" in (tmp_path / "hostile" / "sheet.csv").read_text()


def test_a_filled_in_sheet_gives_the_four_relations(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(HEAD + "a,yes,Yes\nb,yes,no\nc,0,1\nd, no ,n\ne,,\n")
    assert read_sheet(sheet) == dict(zip("abcd", RELATIONS.values(), strict=True))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("post_id,adds\na,yes\n", "expected the columns post_id, text_is_represented and image_adds"),
        (HEAD + "a,maybe,no\n", "row 2: expected yes or no for both, found 'maybe'"),
        (HEAD + "a,yes,no\nb,yes,\n", "row 3: expected yes or no for both, found ''"),
        (HEAD + "a,yes,no\na,yes,no\na,no,no\n", "row 4: post a has other answers in a row before"),
        (HEAD + "a,,\n", "no row is filled in"),
        ("", "expected the columns"),
    ],
)
def test_a_sheet_that_is_no_such_sheet_is_one_line(content: str, says: str, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(content)
    with pytest.raises(UsageError, match=says):
        read_sheet(sheet)


def test_labelled_posts_that_are_not_in_test_are_named(pictured: Path, tmp_path: Path) -> None:
    relation, sheet = RELATIONS[True, True], tmp_path / "sheet.csv"
    assert check_posts({"test-00001": relation, "train-00000": relation}, Dataset(pictured), sheet) == ["train-00000"]
    with pytest.raises(UsageError, match=r"the first is '1\.08407E\+18'. A spreadsheet rounds long ids"):
        check_posts({"1.08407E+18": relation}, Dataset(pictured), sheet)


def test_posts_are_grouped_by_their_relation() -> None:
    records = [record(i, "x", "y", "z") for i in range(4)]
    first, *_, last = RELATIONS.values()
    groups = by_relation(records, {"0": last, "2": first, "3": last, "9": first})
    assert {relation: [r.post_id for r in own] for relation, own in groups.items()} == {first: ["2"], last: ["0", "3"]}


def test_posts_are_chosen_that_the_full_model_alone_gets_right_then_those_that_are_absent_from_the_text() -> None:
    gold, right = ["storm hour"] * 6, "storm hours"
    texts = ["no word", "storm hour", "no word", "storm hour", "no", "no"]
    full = [record(i, t, g, right if i < 4 else "x") for i, (t, g) in enumerate(zip(texts, gold, strict=True))]
    other = [record(i, t, g, "x" if i == 3 else right) for i, (t, g) in enumerate(zip(texts, gold, strict=True))]
    assert chosen_posts({"other": other, "full": full}, ()) == [3, 0, 2, 1]
    assert len(chosen_posts({"full": full}, ())) == SHOWN
    assert chosen_posts({"full": full}, ["5", "0"]) == [5, 0]
    with pytest.raises(UsageError, match="no post '6' in the test split"):
        chosen_posts({"full": full}, ["6"])


def test_figure_9_of_a_sheet_without_a_post_of_test_is_one_line(
    pictured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["reproduce", "fig6", "--dataset", str(pictured), "--out", str(tmp_path)]
    assert main([*base, "--post", "a", "b"]) == 2
    assert "fig6 shows one post, not 2" in capsys.readouterr().err
    assert main(["reproduce", "fig9", *base[2:], "--labels", str(tmp_path / "none.csv")]) == 2
    assert "expected the filled-in sheet.csv of fig9" in capsys.readouterr().err


@pytest.mark.parametrize("figure", ["fig6", "fig7", "fig8"])
def test_a_post_that_is_not_there_is_one_line_before_anything_is_trained(
    pictured: Path, tmp_path: Path, figure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--dataset", str(pictured), "--out", str(tmp_path / "runs"), "--post", "nobody"]
    assert main(["reproduce", figure, *given]) == 2
    where = "" if figure == "fig6" else " in the test split"
    assert capsys.readouterr().err == f"error: --post: {pictured} has no post 'nobody'{where}.\n"
    assert list(tmp_path.iterdir()) == []
