"""Kept posts, before they get an id and a file: texts that are all different, each with a picture of its own."""

import random
from dataclasses import dataclass, replace
from typing import Any

from m3h.sample import texts
from m3h.sample.draw import jpeg, stream
from m3h.sample.plan import OCR, PARTNER_POSTS, PICTURE, POSTERS, POSTS_PER_TOPIC, STRAY_WORDS, TEXT, Topic
from m3h.sample.posters import choose_words, draw_poster
from m3h.sample.scenes import SCENES, neutral

MAX_LIKENESS = 0.5
"""No two texts share more of their words: near-identical texts would count as one group."""
STRAY_USES = 4
"""Texts in which each stray word is mentioned."""
DUMPS = ("v1", "plain")
Words = tuple[str, ...]


@dataclass(frozen=True)
class Draft:
    """A record without id. fate: `kept`, or why it must be dropped.

    text: hashtags included. pictures: bytes of each, None where the file is to be missing on disk.
    keyphrases: as segmented. poster: the words printed on the picture. same_as: text of the record it doubles.
    lang: the text's language. dump: one of DUMPS, or "" for either. inline: a hashtag stands inside the text.
    """

    topic: Topic
    text: str
    keyphrases: tuple[str, ...]
    pictures: tuple[bytes | None, ...]
    fate: str = "kept"
    poster: Words = ()
    lang: str = "en"
    media_type: str = "photo"
    dump: str = ""
    same_as: str = ""
    inline: bool = False


def written(rng: random.Random, words: Words) -> str:
    """A hashtag as people type it: CamelCase or lower case."""
    return "#" + "".join(word.title() for word in words) if rng.random() < 0.5 else "#" + "".join(words)


def with_tags(rng: random.Random, text: str, tags: list[Words]) -> str:
    """`text`, now and then a link, then the hashtags."""
    if rng.random() < 0.08:
        text += f" https://t.co/{short_code(rng, 10)}"
    return " ".join([text, *(written(rng, words) for words in tags)])


def short_code(rng: random.Random, length: int) -> str:
    """Letters and digits as in a short link or a media name."""
    return "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789", k=length))


def picture(rng: random.Random, topic: Topic) -> tuple[bytes, Words]:
    """A JPEG for a post of `topic`, and the words printed on it."""
    if topic.family == "picture":
        return jpeg(SCENES[topic.hashtag](rng)), ()
    if topic.family == "text":
        return jpeg(neutral(rng)), ()
    words = choose_words(rng, topic.hashtag)
    return jpeg(draw_poster(rng, words)), tuple(words)


class Writer:
    """Drafts whose texts are all unlike each other."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._seen: list[frozenset[str]] = []

    def draft(self, topic: Topic, name: object, stray: str = "", partner: bool = False) -> Draft:
        """A post of `topic`. name: of its random stream, unique in the sample."""
        rng = stream(self.seed, topic.hashtag, name)
        text, inline = self._text(rng, topic, stray)
        tags = [topic.words] + ([topic.partner] if partner else [])
        image, poster = picture(rng, topic)
        return Draft(
            topic=topic,
            text=with_tags(rng, text, tags[1:] if inline else tags),
            keyphrases=tuple(" ".join(words) for words in tags),
            pictures=(image,),
            poster=poster,
            inline=inline,
        )

    def _text(self, rng: random.Random, topic: Topic, stray: str) -> tuple[str, bool]:
        while True:
            inline = False
            if topic.family == "text":
                text, inline = texts.topical(rng, topic, written(rng, topic.words), stray)
            else:
                text = texts.generic(rng, stray)
            words = frozenset(texts.words(text))
            if texts.is_neutral(text) and all(texts.likeness(words, seen) < MAX_LIKENESS for seen in self._seen):
                self._seen.append(words)
                return text, inline


def kept_drafts(writer: Writer) -> list[Draft]:
    """Every post that must be kept, topic by topic."""
    places = [(topic, number) for topic in PICTURE + OCR + TEXT for number in range(POSTS_PER_TOPIC)]
    strays = _assign_strays(stream(writer.seed, "strays"), places)
    partners = {
        (topic, number)
        for topic in PICTURE + OCR + TEXT
        if topic.partner
        for number in stream(writer.seed, "partner", topic.hashtag).sample(range(POSTS_PER_TOPIC), PARTNER_POSTS)
    }
    drafts = [writer.draft(*place, stray=strays.get(place, ""), partner=place in partners) for place in places]
    return [replace(draft, dump=DUMPS[number % 2]) for draft, (_, number) in zip(drafts, places, strict=True)]


def _assign_strays(rng: random.Random, places: list[tuple[Topic, int]]) -> dict[tuple[Topic, int], str]:
    """At most one stray word a post, never one of the post's own poster words."""
    free = list(places)
    rng.shuffle(free)
    assigned: dict[tuple[Topic, int], str] = {}
    for word in [word for word in STRAY_WORDS for _ in range(STRAY_USES)]:
        place = next(place for place in free if word not in _poster_words(place[0]))
        free.remove(place)
        assigned[place] = word
    return assigned


def _poster_words(topic: Topic) -> Words:
    poster = POSTERS.get(topic.hashtag)
    return poster.keys + poster.others if poster else ()


def failing(draft: Draft, fate: str, **changes: Any) -> Draft:
    """`draft`, changed so that it must be dropped for `fate`."""
    return replace(draft, fate=fate, **changes)
