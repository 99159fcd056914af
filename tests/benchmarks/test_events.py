"""Which tweets of events are taken, by hand."""

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.events import A_PICTURE, MOST, Tweet, events, few_a_picture, tweets_of


def tweet(number: int, text: str, file: str = "a.jpg", tags: Sequence[str] = ("storm",)) -> Tweet:
    return {"id": str(number), "text": text, "hashtags": list(tags), "file": file, "created_at": ""}


def test_line_breaks_of_a_text_are_read_and_end_no_record(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    written = [tweet(0, "one\\ntwo\u2028three"), tweet(1, "four")]
    manifest.write_text("".join(json.dumps(found, ensure_ascii=False) + "\n" for found in written), encoding="utf-8")
    assert [found["text"] for found in tweets_of(manifest)] == ["one\ntwo\u2028three", "four"]


def test_a_text_counts_once_and_a_picture_has_few_tweets() -> None:
    copies = [tweet(0, "look http://t.co/a"), tweet(1, "Look http://t.co/b"), tweet(2, "look", "b.png")]
    assert [found["id"] for found in few_a_picture(copies)] == ["0"]
    many = [tweet(number, f"text {number}", "ab"[number % 2] + ".jpg") for number in range(3 * A_PICTURE)]
    assert [found["id"] for found in few_a_picture(many)] == [str(number) for number in range(2 * A_PICTURE)]


def test_a_hashtag_of_too_many_tweets_is_no_word_and_no_reason_to_take_one() -> None:
    both = [tweet(n, f"water {n} #Sandy #nyc", f"{n}.jpg", ("Sandy", "nyc")) for n in range(MOST)]
    alone = tweet(MOST, "waves #sandy", "x.jpg", ("sandy",))
    found = list(events([*both, alone]))
    assert [post["id"] for post in found] == [str(number) for number in range(MOST)]
    assert found[0] == {"id": "0", "text": "water 0  #nyc", "image": "0.jpg", "created_at": ""}
