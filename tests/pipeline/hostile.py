"""A hostile dump: good records in every format, and lines that are poison, each with the reason it must have."""

import json
import random
from dataclasses import dataclass

from tests.pipeline.fakes import WORDS

MAX_LINE = 128 << 10
PICTURES = 20


@dataclass(frozen=True)
class Hostile:
    """lines of the dump in order. poison: number of a poisoned line (from 1) -> (its kind, its reason)."""

    lines: list[bytes]
    poison: dict[int, tuple[str, str]]

    def mended(self) -> "Hostile":
        """The same dump after someone repaired every broken line."""
        return Hostile([good(i) if i in self.poison else line for i, line in enumerate(self.lines, start=1)], {})

    @property
    def data(self) -> bytes:
        return b"\n".join(self.lines) + b"\n"


def _json(record):
    return json.dumps(record).encode()


def _caption(i):
    return f"the {WORDS[i % 14]} by the {WORDS[i // 14 % 14]} near the {WORDS[i // 196 % 14]} was lovely #tag{i % 7}"


def _url(i):
    return f"https://pbs.twimg.com/media/p{i % PICTURES}.jpg"


def _v1(i):
    media = [{"type": "photo", "url": "https://t.co/p", "media_url_https": _url(i)}]
    entities = {"hashtags": [{"text": f"Tag{i % 7}"}], "media": media}
    user = {"screen_name": "x"}
    return {"id_str": str(i), "full_text": _caption(i), "lang": "en", "user": user, "entities": entities}


def _v2(i):
    tweet = {"id": str(i), "text": _caption(i), "author_id": "1", "lang": "en", "attachments": {"media_keys": ["3_1"]}}
    tweet["entities"] = {"hashtags": [{"tag": f"tag{i % 7}"}]}
    return {"data": [tweet], "includes": {"media": [{"media_key": "3_1", "type": "photo", "url": _url(i)}]}}


def _graphql(i):
    legacy = {name: value for name, value in _v1(i).items() if name != "user"}
    return {"tweet_results": {"result": {"__typename": "Tweet", "rest_id": str(i), "legacy": legacy}}}


def _snscrape(i):
    media = [{"_type": "snscrape.modules.twitter.Photo", "fullUrl": _url(i)}]
    kind = "snscrape.modules.twitter.Tweet"
    return {"_type": kind, "id": i, "content": _caption(i), "lang": "en", "hashtags": None, "media": media}


def _archive(i):
    return {"tweet": {name: value for name, value in _v1(i).items() if name != "user"}}


def _plain(i):
    return {"id": i, "text": _caption(i), "image": f"p{i % PICTURES}.jpg", "lang": "en"}


GOOD = (_v1, _v2, _graphql, _snscrape, _archive, _plain)


def good(i):
    """A record of its own id in one of the formats, now and then with another line end."""
    return _json(GOOD[i % len(GOOD)](i)) + (b"\r" if i % 11 == 0 else b"")


POISON = {
    "cut off": ("not_json", lambda i: good(i).rstrip()[:-20]),
    "half of another behind it": ("not_json", lambda i: _json(_plain(i)) + _json(_plain(i))[:-20]),
    "nul in a text": ("not_json", lambda i: _json(_plain(i)).replace(b"lovely", b"love\0ly")),
    "nuls": ("not_json", lambda i: bytes(50 + i % 50)),
    "deep": ("not_json", lambda i: b'{"a":' * 20_000),
    "huge number": ("not_json", lambda i: b'{"id": ' + b"9" * 5000 + b', "text": "x", "image": "x.jpg"}'),
    "utf-16": ("not_json", lambda i: json.dumps({"id": i}).encode("utf-16-le").replace(b"\n", b"")),
    "html": ("not_json", lambda i: b"<html><body>503 Service Unavailable</body></html>"),
    "csv": ("not_json", lambda i: b'1,"a day out",p1.jpg'),
    "python": ("not_json", lambda i: repr(_plain(i)).encode()),
    "latin-1": ("not_utf8", lambda i: json.dumps(_plain(i) | {"text": "été"}, ensure_ascii=False).encode("latin-1")),
    "surrogate bytes": ("not_utf8", lambda i: _json(_plain(i)).replace(b"lovely", b"\xed\xa0\x80")),
    "binary": ("not_utf8", lambda i: b"\xff\xfe\x00\x80" * 9),
    "numbers": ("not_an_object", lambda i: _json([i, i])),
    "text": ("not_an_object", lambda i: _json("just a text")),
    "null": ("not_an_object", lambda i: b"null"),
    "delete": ("notice", lambda i: _json({"delete": {"status": {"id": i, "id_str": str(i)}}})),
    "limit": ("notice", lambda i: _json({"limit": {"track": i}})),
    "warning": ("notice", lambda i: _json({"warning": {"code": "FALLING_BEHIND"}})),
    "status withheld": ("notice", lambda i: _json({"status_withheld": {"id": i, "withheld_in_countries": ["DE"]}})),
    "empty page": ("notice", lambda i: _json({"meta": {"result_count": 0}})),
    "withheld": ("withheld", lambda i: _json(_v1(i) | {"withheld_in_countries": ["DE", "FR"]})),
    "copyright": ("withheld", lambda i: _json(_v1(i) | {"withheld_copyright": True})),
    "tombstone": ("unavailable", lambda i: _json({"tweet_results": {"result": {"__typename": "TweetTombstone"}}})),
    "foreign": ("unknown_format", lambda i: _json({"uri": f"urn:{i}", "record": {"text": "x"}})),
    "no id": ("missing_field", lambda i: _json(_plain(i) | {"id": None})),
    "no text": ("missing_field", lambda i: _json({**_plain(i), "text": None})),
    "text is a number": ("bad_field", lambda i: _json(_v1(i) | {"full_text": 5})),
    "text is a list": ("bad_field", lambda i: _json(_plain(i) | {"text": ["a"]})),
    "large": ("record_too_large", lambda i: _json(_v1(i) | {"full_text": "x" * 100_001})),
    "long": ("line_too_long", lambda i: _json(_plain(i) | {"more": "y" * MAX_LINE})),
}
HEAVY = ("deep", "large", "long")


def hostile_dump(lines=10_000, poisoned=1_000, seed=7):
    """`poisoned` of `lines` lines at seeded places; every kind of poison is there."""
    chance = random.Random(seed)
    places = chance.sample(range(1, lines + 1), poisoned)
    weights = [0.1 if kind in HEAVY else 1.0 for kind in POISON]
    kinds = [*POISON, *chance.choices(list(POISON), weights, k=poisoned - len(POISON))]
    poison = dict(zip(places, kinds, strict=True))
    made = [POISON[poison[i]][1](i) if i in poison else good(i) for i in range(1, lines + 1)]
    return Hostile(made, {place: (kind, POISON[kind][0]) for place, kind in sorted(poison.items())})
