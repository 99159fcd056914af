"""Rare hashtags by rounds of counts, on many workers: no process holds all posts, nor all hashtags.

A Beam graph is static, so it has `ROUNDS` rounds, and one process decides what is open after them.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.combiners import Count
from apache_beam.typehints.decorators import no_annotations

from m3h.pipeline.cleaning.groups import record_key
from m3h.pipeline.cleaning.hashtag_rounds import HashtagCount, OpenList, added, is_rare, is_safe, still_open
from m3h.pipeline.cleaning.rare_hashtags import DROP_POST, DROP_TAG, rare_posts
from m3h.pipeline.stages.coders import pack, unpack
from m3h.pipeline.stages.routing import byte_pairs
from m3h.schemas.posts import Post

ROUNDS = 3
"""How many are wired. Each is three shuffles of what is open."""

SALTS = 16
"""Parts into which the places of a hashtag are divided, because a frequent one has very many."""

Packed = tuple[bytes, bytes]
"""A name, and something packed about it. Bytes, because they cross shuffles (see coders.py)."""

Mention = tuple[str, tuple[bytes, int, int]]
"""A hashtag; a place that has it, its posts, and how many of these support the hashtag."""

_DECIDED: Final = "decided"


@dataclass
class Counted(beam.CombineFn):
    """(place, posts, support) of one hashtag -> HashtagCount."""

    least: int

    def create_accumulator(self) -> HashtagCount:
        """Of no posts."""
        return 0, 0, []

    def add_input(self, count: HashtagCount, mention: tuple[bytes, int, int]) -> HashtagCount:
        """Count one place."""
        place, posts, support = mention
        return added(count, (posts, support, [place]), self.least)

    def merge_accumulators(self, counts: Iterable[HashtagCount]) -> HashtagCount:
        """Count them together."""
        merged = self.create_accumulator()
        for count in counts:
            merged = added(merged, count, self.least)
        return merged

    def extract_output(self, count: HashtagCount) -> HashtagCount:
        """As it is."""
        return count


@dataclass
class RareMarks(beam.PTransform[PCollection[Mention], PCollection[Packed]]):
    """Mentions -> (place, packed hashtag) where the hashtag is rare. Only a rare hashtag's places are gathered."""

    least: int

    def expand(self, mentions: PCollection[Mention]) -> PCollection[Packed]:
        """Count each hashtag once."""
        least = self.least
        rare: PCollection[Packed] = (
            mentions
            | "count" >> beam.CombinePerKey(Counted(least))
            | "rare" >> beam.FlatMap(lambda counted: _rare_marks(counted, least)).with_output_types(Packed)
        )
        return rare


def _rare_marks(counted: tuple[str, HashtagCount], least: int) -> Iterator[Packed]:
    tag, count = counted
    if is_rare(count, least):
        yield from ((place, pack(tag)) for place in count[2])


@dataclass
class TagLists(beam.PTransform[PCollection[Post], PCollection[Packed]]):
    """Posts -> (name, packed OpenList) of each list of hashtags that a post has."""

    def expand(self, posts: PCollection[Post]) -> PCollection[Packed]:
        """The name of a list is what it packs to."""
        lists: PCollection[Packed] = (
            posts
            | "list" >> beam.Map(list_name)
            | "posts" >> Count.PerElement()
            | "open" >> beam.MapTuple(lambda name, posts: (name, pack((posts, unpack(name))))).with_output_types(Packed)
        )
        return lists


def list_name(post: Post) -> bytes:
    """The same for posts of the same hashtags, in whatever order."""
    return pack(tuple(sorted(set(post.hashtags))))


def _open_list(packed: bytes) -> OpenList:
    return OpenList(*unpack(packed))


@dataclass
class RareLists(beam.PTransform[PCollection[Packed], PCollection[Packed]]):
    """(name, packed OpenList) -> (name, packed (deciding hashtag, posts)) of those that go, as `rare_posts` decides."""

    least: int
    rounds: int = ROUNDS

    def expand(self, lists: PCollection[Packed]) -> PCollection[Packed]:
        """Rounds, then one process for the rest."""
        least, decided = self.least, []
        for number in range(1, self.rounds + 1):
            lists, newly = lists | f"round {number}" >> _Round(least)
            decided.append(newly)

        def rest(gathered: tuple[int, Iterable[bytes]]) -> Iterator[Packed]:
            found = {name: _open_list(packed) for name, packed in map(unpack, gathered[1])}
            numbers = {name: one.posts for name, one in found.items()}
            gone = rare_posts({name: one.hashtags for name, one in found.items()}, least, numbers)
            return ((name, pack((tag, numbers[name]))) for name, tag in gone.items())

        together = lists | "rest" >> beam.Map(lambda one: (0, pack(one))).with_output_types(tuple[int, bytes])
        decided.append(together | "gather rest" >> beam.GroupByKey() | "decide rest" >> beam.FlatMap(rest))
        gone: PCollection[Packed] = decided | "all" >> beam.Flatten()
        return gone


@dataclass
class _Round(beam.PTransform[PCollection[Packed], tuple[PCollection[Packed], PCollection[Packed]]]):
    """Open lists -> those that are open still, and those that go."""

    least: int

    @no_annotations
    def expand(self, lists: PCollection[Packed]) -> tuple[PCollection[Packed], PCollection[Packed]]:
        """Count hashtags, tell the lists which of theirs are rare or safe, and decide each list.

        A list goes through all shuffles itself, under its own key. As a second way around them it would double the
        ways through the graph, in every round, and Flink walks each of them before it starts a job.
        """
        least = self.least

        def mentions(named: Packed) -> Iterator[tuple[bytes, tuple[bytes, int, int]]]:
            name, packed = named
            one = _open_list(packed)
            support = one.support(least)
            yield _LIST + name, (packed, 0, 0)
            yield from ((_TAG + tag.encode(), (name, one.posts, support)) for tag in one.hashtags)

        def marks(counted: tuple[bytes, HashtagCount]) -> Iterator[Packed]:
            key, count = counted
            if key.startswith(_LIST):
                (packed,) = count[2]
                yield key, packed
                yield from _places(key, packed)
                return
            tag = key[1:].decode()
            yield from ((_LIST + name, mark) for name, mark in _rare_marks((tag, count), least))
            if is_safe(count, least):
                yield from ((_place(salt, tag), _SAFE) for salt in range(SALTS))

        settled = (
            lists
            | "mentions" >> beam.FlatMap(mentions).with_output_types(tuple[bytes, tuple[bytes, int, int]])
            | "count" >> beam.CombinePerKey(Counted(least))
            | "marks" >> beam.FlatMap(marks).with_output_types(Packed)
            | "by place" >> beam.GroupByKey()
            | "safe here" >> beam.FlatMap(_safe_here).with_output_types(Packed)
            | "by list" >> beam.GroupByKey()
            | "settle" >> beam.FlatMap(_settled).with_outputs(_DECIDED, main="open")
        )
        return byte_pairs(settled["open"], "open"), byte_pairs(settled[_DECIDED], _DECIDED)


_LIST, _TAG, _PLACE = b"l", b"t", b"p"
"""What a key is: a list with its name, a hashtag, or a part of a hashtag's places."""

_SAFE = b""
"""Among the places of a hashtag: it is safe. No place has an empty key."""


def _place(salt: int, tag: str) -> bytes:
    return _PLACE + pack((salt, tag))


def _places(key: bytes, packed: bytes) -> Iterator[Packed]:
    salt = zlib.crc32(key) % SALTS
    return ((_place(salt, tag), key) for tag in _open_list(packed).hashtags)


def _safe_here(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Packed]:
    """(list, packed (hashtag,)) of each list with a safe hashtag. What is under the key of a list stays there."""
    key, values = group
    if key.startswith(_LIST):
        yield from ((key, value) for value in values)
        return
    lists = list(values)
    if _SAFE in lists:
        _, tag = unpack(key[1:])
        yield from ((one, pack((tag,))) for one in lists if one != _SAFE)


def _settled(group: tuple[bytes, Iterable[bytes]]) -> Iterator[Any]:
    """A list with its marks: a rare hashtag is text, a safe one a tuple of it."""
    key, marks = group
    rare: list[str] = []
    safe: set[str] = set()
    for mark in map(unpack, marks):
        if isinstance(mark, str):
            rare.append(mark)
        elif len(mark) == 1:
            safe.update(mark)
        else:
            one = OpenList(*mark)
    if rare:
        yield TaggedOutput(_DECIDED, (key[1:], pack((min(rare), one.posts))))
    elif left := still_open(one, safe):
        yield key[1:], pack(tuple(left))


@dataclass
class DecidingHashtags(beam.PTransform[PCollection[Post], PCollection[tuple[str, str]]]):
    """Posts -> (record key, the hashtag for which it goes); nothing of a post that stays."""

    least: int

    def expand(self, posts: PCollection[Post]) -> PCollection[tuple[str, str]]:
        """A list that goes is in fewer than `least` posts, so these are known from counting."""
        least = self.least

        def few(counted: tuple[bytes, HashtagCount]) -> Iterator[Packed]:
            name, count = counted
            if is_rare(count, least):
                yield name, pack(count[2])

        def decisions(group: tuple[bytes, Iterable[bytes]]) -> Iterator[tuple[str, str]]:
            found = {type(value): value for value in map(unpack, group[1])}
            if tuple in found:
                tag, _ = found[tuple]
                yield from ((record.decode(), tag) for record in found[list])

        records = (
            posts
            | "records" >> beam.Map(_listed).with_output_types(tuple[bytes, tuple[bytes, int, int]])
            | "count" >> beam.CombinePerKey(Counted(least))
            | "few" >> beam.FlatMap(few)
        )
        gone = posts | "lists" >> TagLists() | "rare lists" >> RareLists(least)
        found: PCollection[tuple[str, str]] = (
            (records, gone) | "both" >> beam.Flatten() | beam.GroupByKey() | "decisions" >> beam.FlatMap(decisions)
        )
        return found


def _listed(post: Post) -> tuple[bytes, tuple[bytes, int, int]]:
    return list_name(post), (record_key(post).encode(), 1, 0)


@dataclass
class RareOfPosts(beam.PTransform[PCollection[Post], PCollection[tuple[str, str]]]):
    """Posts -> (record key, hashtag) of each of their rare hashtags."""

    least: int

    def expand(self, posts: PCollection[Post]) -> PCollection[tuple[str, str]]:
        """One round of counts is enough (see `rare_hashtags`)."""

        def mentions(post: Post) -> Iterator[Mention]:
            record = record_key(post).encode()
            return ((tag, (record, 1, 0)) for tag in set(post.hashtags))

        found: PCollection[tuple[str, str]] = (
            posts
            | "mentions" >> beam.FlatMap(mentions)
            | RareMarks(self.least)
            | "records" >> beam.Map(_record_and_tag)
        )
        return found


def _record_and_tag(mark: Packed) -> tuple[str, str]:
    return mark[0].decode(), unpack(mark[1])


@dataclass
class KeptInRounds(beam.PTransform[PCollection[Post], PCollection[tuple[str, int]]]):
    """Posts -> how many of them each choice of `clean.rare_hashtags` keeps."""

    least: int

    def expand(self, posts: PCollection[Post]) -> PCollection[tuple[str, int]]:
        """Lists are counted, each with its number of posts."""
        lists = posts | "lists" >> TagLists()

        def mentions(named: Packed) -> Iterator[Mention]:
            one = _open_list(named[1])
            return ((tag, (named[0], one.posts, 0)) for tag in one.hashtags)

        gone = lists | "rare lists" >> RareLists(self.least)
        marks = lists | "mentions" >> beam.FlatMap(mentions) | "marks" >> RareMarks(self.least)
        counts = (
            posts.pipeline | "none" >> beam.Create([(DROP_POST, 0), (DROP_TAG, 0)]),
            lists | "all posts" >> beam.Map(_all_posts),
            gone | "gone" >> beam.Map(_gone),
            (lists, marks) | "both" >> beam.Flatten() | beam.GroupByKey() | "with one" >> beam.Map(_with_one),
        )
        kept: PCollection[tuple[str, int]] = (
            counts
            | "counts" >> beam.Flatten()
            | "together" >> beam.CombinePerKey(sum)
            | "kept" >> beam.MapTuple(lambda rule, posts: (rule, posts)).with_output_types(tuple[str, int])
        )
        return kept


def _all_posts(named: Packed) -> tuple[str, int]:
    return DROP_POST, _open_list(named[1]).posts


def _gone(named: Packed) -> tuple[str, int]:
    _, posts = unpack(named[1])
    return DROP_POST, -posts


def _with_one(group: tuple[bytes, Iterable[bytes]]) -> tuple[str, int]:
    """How many posts of a list keep a hashtag, or had none."""
    found = list(map(unpack, group[1]))
    (one,) = (OpenList(*each) for each in found if not isinstance(each, str))
    return DROP_TAG, one.posts if not one.hashtags or len(found) - 1 < len(one.hashtags) else 0
