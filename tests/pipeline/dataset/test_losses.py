"""What would leave is counted by hand; more than a share of it is refused before anything is moved."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

import pytest

from m3h.pipeline.dataset.losses import NOT_READ, Losses, losses
from m3h.pipeline.dataset.tables import DROPPED, IMAGE_LIST_PATTERN, POSTS
from m3h.pipeline.dataset.transaction import BUILD, COMPACT, FORGET, GC, REFRESH, REPAIR, USE, Command, transaction
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import M3hError
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Dropped, dropped_row
from tests.commands import files_of
from tests.pipeline.made import POSTS_MADE, make, post_id


def stage(folder: Path, kept: Collection[int], dropped: Collection[Dropped] = ()) -> Path:
    """The records of these posts, and their list of pictures."""
    whole = make(folder / "other", kept, dropped)
    for name in ("posts", "dropped", "images"):
        shutil.copytree(whole / name, folder / "next" / name, ignore=shutil.ignore_patterns("*.jpg"))
    return folder / "next"


def test_posts_and_pictures_that_leave_are_counted_with_their_reasons(dataset: Path, tmp_path: Path) -> None:
    """Posts 3 and 4 show the same picture, so post 3's stays; of 8 and 9 there is no record any more."""
    why = [Dropped("image", "image_missing", post_id(1)), Dropped("image", "image_missing", post_id(2))]
    why += [Dropped("duplicates", "superseded", post_id(3)), Dropped("text", "no_hashtag", "2000009")]
    staged = stage(tmp_path / "s", [i for i in range(4, POSTS_MADE + 1) if i not in (8, 9)], why)
    found = losses(dataset, Manifest.read(dataset), staged)
    assert (found.posts, found.kept, found.pictures, found.stored) == (5, 20, 4, 19)
    assert found.reasons == {"image: image_missing": 2, "duplicates: superseded": 1, NOT_READ: 2}
    assert str(found) == (
        "5 of 20 posts (duplicates: superseded 1, image: image_missing 2, in no dump any more 2) and 4 of 19 pictures"
    )


@pytest.mark.parametrize(
    ("kept", "leaving", "share", "refused"),
    [
        (20, 10, 0.01, False),  # ten may always leave
        (20, 11, 0.01, True),
        (1_000, 10, 0.01, False),
        (1_000, 11, 0.01, True),
        (10_000, 100, 0.01, False),
        (10_000, 101, 0.01, True),
        (10_000, 10_000, 1.0, False),
        (10_000, 11, 0.0, True),
    ],
)
def test_the_share_that_may_leave(kept: int, leaving: int, share: float, refused: bool) -> None:
    assert Losses(kept=kept, posts=leaving).exceed(share) == refused
    assert Losses(stored=kept, pictures=leaving).exceed(share) == refused


def staged_loss(dataset: Path, command: Command, left: int, *, max_loss: float = 0.01) -> None:
    """Publish the first posts alone, as any command might."""
    known = Manifest.read(dataset)
    posts, dropped = Dataset(dataset).posts.to_pylist()[:left], [dropped_row(Dropped("text", "no_hashtag"))]
    with transaction(dataset, command, known, work={"some": "work"}, max_loss=max_loss) as change:
        POSTS.write_parts(change.next, posts, 6)
        DROPPED.write_parts(change.next, dropped, 6)
        shutil.copytree(dataset / "images", change.next / "images", ignore=shutil.ignore_patterns("*.jpg"))
        change.publish(known)


@pytest.mark.parametrize("command", [BUILD, REFRESH, REPAIR, COMPACT, USE, GC], ids=lambda command: command.name)
def test_no_command_publishes_a_larger_loss_unasked(dataset: Path, command: Command) -> None:
    before = files_of(dataset)
    said = "take away 11 of 20 posts (in no dump any more 11) and 0 of 19 pictures, more than safety.max_loss=0.01 "
    with pytest.raises(M3hError, match=re.escape(said)):
        staged_loss(dataset, command, 9)
    after = files_of(dataset)
    assert {name: after[name] for name in before} == before
    assert {name for name in after.keys() - before.keys() if not name.startswith(".build/")} == set()


def test_what_is_allowed_or_small_is_published_and_said(dataset: Path, caplog: pytest.LogCaptureFixture) -> None:
    staged_loss(dataset, BUILD, 10)
    assert Dataset(dataset).folder == dataset
    (said,) = [record.getMessage() for record in caplog.records if "leave" in record.getMessage()]
    assert said.startswith("note: 10 posts leave: this takes away 10 of 20 posts (in no dump any more 10)")


def test_a_share_of_one_allows_all_of_it_and_forgetting_is_what_was_asked_for(dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    staged_loss(dataset, BUILD, 1, max_loss=1.0)
    staged_loss(copy, FORGET, 1)
    assert sum(len(list(folder.glob("posts/*"))) for folder in (dataset, copy)) == 2


def test_a_damaged_table_does_not_count_and_does_not_stop_its_being_made_again(dataset: Path, tmp_path: Path) -> None:
    staged = stage(tmp_path / "s", range(1, POSTS_MADE + 1))
    known = Manifest.read(dataset)
    for part in [*dataset.glob("posts/part-*"), *dataset.glob(IMAGE_LIST_PATTERN)]:
        part.write_bytes(b"no table")
    assert losses(dataset, known, staged) == Losses(kept=20)
