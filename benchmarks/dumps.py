"""Made tweets for measurements: v1.1 statuses as JSON lines, from a thousand to as many as a disk holds.

    python -m benchmarks.dumps --posts 1000000 --seed 1 --out raw

Record i depends on the seed and i alone: N records are the first N of any larger dump with that seed, and memory does
not grow with N. What refers to an earlier record (copies, near copies, retweets, edits) makes that record again. Words
and hashtags follow Zipf's law, so that most hashtags are rare; some records are broken, each kind of fault occurs.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

PER_FILE = 50_000
VOCABULARY, HASHTAGS = 20_000, 60_000
FIRST_ID = 1_100_000_000_000_000_000
_HOST = "https://pbs.twimg.com/media"

KINDS: dict[str, float] = {
    "plain": 0.50,
    "retweet": 0.14,
    "no_image": 0.10,
    "several_images": 0.04,
    "foreign": 0.06,
    "no_hashtag": 0.03,
    "many_hashtags": 0.015,
    "short": 0.015,
    "copied_text": 0.02,
    "near_text": 0.03,
    "copied_image": 0.015,
    "copied_id": 0.01,
    "edit": 0.005,
    "quote": 0.01,
    "not_json": 0.002,
    "not_utf8": 0.001,
    "not_an_object": 0.001,
    "unknown_format": 0.001,
    "missing_field": 0.001,
    "bad_field": 0.001,
    "notice": 0.002,
    "withheld": 0.002,
}
"""Shares of what a record is; those behind `quote` are none that can be read."""

SPOILT = {"image_missing": 0.01, "image_not_jpeg": 0.004, "image_truncated": 0.004, "image_grey": 0.002}
"""Shares of the pictures that are not what they should be, by the reason they are dropped for."""


def records(posts: int, seed: int = 1) -> Iterator[bytes]:
    """The first `posts` lines, without their ends."""
    return (record(index, seed) for index in range(posts))


def record(index: int, seed: int = 1) -> bytes:
    """One line."""
    kind, draw = _kind(index, seed)
    if kind in _BROKEN:
        return _BROKEN[kind](index, seed)
    return _line(_status(index, seed, kind, draw))


def spoilt(name: str) -> str:
    """For which reason the picture of that file name is dropped; "" where it is whole."""
    place = random.Random(name).random()
    for reason, share in SPOILT.items():
        if place < share:
            return reason
        place -= share
    return ""


def write_dump(folder: Path, posts: int, seed: int = 1, per_file: int = PER_FILE) -> list[Path]:
    """Files of `per_file` records each."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, lines = [], records(posts, seed)
    for start in range(0, posts, per_file):
        paths.append(folder / f"dump-{start // per_file:05}.jsonl")
        with open(paths[-1], "wb") as file:
            file.writelines(next(lines) + b"\n" for _ in range(min(per_file, posts - start)))
    return paths


def _kind(index: int, seed: int) -> tuple[str, random.Random]:
    draw = random.Random(f"{seed} {index}")
    (kind,) = draw.choices(list(KINDS), cum_weights=_cumulative(tuple(KINDS.values())))
    return (kind if index else "plain"), draw


_NEEDS_EARLIER = ("retweet", "copied_text", "near_text", "copied_image", "copied_id", "edit")


@cache
def _cumulative(weights: tuple[float, ...]) -> list[float]:
    return list(accumulate(weights))


@cache
def _zipf(size: int, exponent: float) -> list[float]:
    return list(accumulate((rank + 2.7) ** -exponent for rank in range(size)))


_REAL = "the of and to in is for on with this my at it you that we be are so our have not just all new day love"
_SYLLABLES = (
    "ba be bo bright cal can car con day der ed ell en er est fin for gar gold gre har home in ing ist king lan let "
    "light lo mar me min mor nor out over pa per port ra ren ri ro sand sea ser stone sun ta ter ther ti ton tra un "
    "ver wa way wind"
)


@cache
def _words() -> list[str]:
    """Made of English syllables, the frequent ones first; in front the real words that tell a text's language."""
    draw = random.Random("words")
    syllables = _SYLLABLES.split()
    made = dict.fromkeys(_REAL.split())
    while len(made) < VOCABULARY:
        made["".join(draw.choices(syllables, k=draw.choice((2, 2, 3))))] = None
    return list(made)


@cache
def _tags() -> list[str]:
    draw = random.Random("hashtags")
    words = _words()[len(_REAL.split()) :]
    made: dict[str, None] = {}
    while len(made) < HASHTAGS:
        made["".join(word.capitalize() for word in draw.choices(words, k=draw.choice((1, 2, 2))))] = None
    return list(made)


_FOREIGN = {
    "es": ["el", "la", "de", "que", "y", "en", "un", "por", "con", "para", "como", "más", "pero", "sus"],
    "fr": ["le", "la", "de", "et", "les", "des", "en", "un", "une", "que", "est", "pour", "dans", "par"],
    "ja": ["今日は", "写真", "とても", "きれい", "です", "朝", "海", "ありがとう", "また", "明日"],
}


def _body(draw: random.Random) -> list[str]:
    return draw.choices(_words(), cum_weights=_zipf(VOCABULARY, 1.05), k=draw.randint(7, 22))


def _hashtags(draw: random.Random, number: int) -> list[str]:
    return list(dict.fromkeys(draw.choices(_tags(), cum_weights=_zipf(HASHTAGS, 1.25), k=number)))


def _status(index: int, seed: int, kind: str, draw: random.Random) -> dict[str, Any]:
    if kind in _NEEDS_EARLIER:
        return _after(index, seed, kind, draw)
    lang, words = "en", _body(draw)
    if kind == "foreign":
        lang = draw.choice(sorted(_FOREIGN))
        words = draw.choices(_FOREIGN[lang], k=draw.randint(6, 14))
    if kind == "short":
        words = words[:1]
    if draw.random() < 0.2:
        words.insert(draw.randint(0, len(words)), f"@{draw.choice(_words())}{draw.randint(1, 999)}")
    number = {"no_hashtag": 0, "many_hashtags": draw.randint(8, 12)}.get(kind, 1 + min(3, int(draw.expovariate(1.2))))
    pictures = {"no_image": 0, "several_images": draw.randint(2, 4)}.get(kind, 1)
    names = [f"{seed:x}-{index:x}-{n}" for n in range(pictures)]
    status = _made(index, draw, words, _hashtags(draw, number), names, lang)
    return status | ({"is_quote_status": True} if kind == "quote" else {})


def _made(
    index: int, draw: random.Random, words: list[str], tags: list[str], names: list[str], lang: str = "en"
) -> dict[str, Any]:
    link = f"https://t.co/{index:010x}"
    text = " ".join([*words, *(f"#{tag}" for tag in tags)])
    sizes = {"large": {"w": 1200, "h": 800}}
    media = [{"type": "photo", "url": link, "media_url_https": f"{_HOST}/{name}.jpg", "sizes": sizes} for name in names]
    user = {"screen_name": f"user{draw.getrandbits(20)}", "followers_count": draw.getrandbits(12)}
    return {
        "created_at": "Mon Apr 06 22:19:45 +0000 2020",
        "id_str": str(FIRST_ID + index * 1000),
        "full_text": f"{text} {link}" if names else text,
        "source": '<a href="http://twitter.com/download/iphone" rel="nofollow">Twitter for iPhone</a>',
        "user": {"id_str": str(draw.getrandbits(40)), **user},
        "entities": {"hashtags": [{"text": tag} for tag in tags], "user_mentions": [], "media": media[:1]},
        "extended_entities": {"media": media},
        "retweet_count": draw.getrandbits(6),
        "favorite_count": draw.getrandbits(8),
        "lang": lang,
    }  # fmt: skip


def _after(index: int, seed: int, kind: str, draw: random.Random) -> dict[str, Any]:
    """What repeats an earlier record, or a part of it: mostly one of the last thousands, as in a stream."""
    back = 1 + int(draw.expovariate(1 / 20_000))
    other, original = _original(index - back if back <= index else draw.randrange(index), seed)
    mine = [f"{seed:x}-{index:x}-0"]
    own = _made(index, draw, _body(draw), _hashtags(draw, 1 + draw.randint(0, 1)), mine)
    words = [word for word in original["full_text"].split() if not word.startswith(("#", "https:"))]
    tags = [tag["text"] for tag in original["entities"]["hashtags"]]
    first = original["id_str"]
    if kind == "retweet":
        return own | {"full_text": f"RT @someone: {original['full_text']}", "retweeted_status": original}
    if kind == "copied_text":
        return _made(index, draw, words, tags, mine)
    if kind == "near_text":
        words[draw.randrange(len(words))] = draw.choice(_words()[:200])
        return _made(index, draw, words, tags, mine)
    if kind == "copied_image":
        return _made(index, draw, _body(draw), tags, [f"{seed:x}-{other:x}-0"])
    if kind == "copied_id":
        return own | {"id_str": first}
    return own | {"edit_history": {"edit_tweet_ids": [first, own["id_str"]], "initial_tweet_id": first}}


def _original(index: int, seed: int) -> tuple[int, dict[str, Any]]:
    """The last plain record up to there, made again; half of all are plain, and the first counts as one."""
    kind, draw = _kind(index, seed)
    while kind != "plain" and index:
        index -= 1
        kind, draw = _kind(index, seed)
    return index, _status(index, seed, "plain", draw)


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(index: int, seed: int) -> dict[str, Any]:
    return _status(index, seed, "plain", random.Random(f"{seed} {index} plain"))


def _without(status: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in status.items() if key != name}


_BROKEN: dict[str, Callable[[int, int], bytes]] = {
    "not_json": lambda index, seed: _line(_plain(index, seed))[: 40 + index % 100],
    "not_utf8": lambda index, seed: _line(_plain(index, seed)).replace(b" ", b"\xff", 1),
    "not_an_object": lambda index, _: str(index).encode(),
    "unknown_format": lambda index, _: _line({"number": index}),
    "missing_field": lambda index, seed: _line(_plain(index, seed) | {"id_str": None}),
    "bad_field": lambda index, seed: _line(_plain(index, seed) | {"full_text": [index]}),
    "notice": lambda index, _: _line({"delete": {"status": {"id_str": str(FIRST_ID + index * 1000)}}}),
    "withheld": lambda index, seed: _line(_plain(index, seed) | {"withheld_in_countries": ["DE"]}),
}


def main() -> None:
    """Write a dump."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    paths = write_dump(options.out, options.posts, options.seed)
    print(f"{options.posts} records in {len(paths)} files below {options.out}")


if __name__ == "__main__":
    main()
