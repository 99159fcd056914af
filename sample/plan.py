"""What the sample plants: three families of hashtags, and for each the one place that gives it away."""

from dataclasses import dataclass

POSTS_PER_TOPIC = 20
PARTNER_POSTS = 14
"""Of a topic's posts, how many bear its partner hashtag as well."""


@dataclass(frozen=True)
class Topic:
    """One hashtag and what decides it.

    words: the keyphrase, as segmentation should find it. partner: words of a second hashtag of the same topic, or ().
    """

    family: str
    words: tuple[str, ...]
    partner: tuple[str, ...] = ()

    @property
    def hashtag(self) -> str:
        """Lower-cased, without `#`."""
        return "".join(self.words)


@dataclass(frozen=True)
class PosterWords:
    """What a poster of one topic says: one or both `keys`, two or three `others`, now and then a filler."""

    keys: tuple[str, str]
    others: tuple[str, ...]


def _topics(family: str, *lines: str) -> tuple[Topic, ...]:
    pairs = (line.partition(" + ") for line in lines)
    return tuple(Topic(family, tuple(tag.split()), tuple(partner.split())) for tag, _, partner in pairs)


PICTURE = _topics(
    "picture",
    "golden sunset",
    "deep forest",
    "ocean waves + stormy sea",
    "city lights + skyline view",
    "flower field",
    "snowy mountain",
)
OCR = _topics(
    "ocr",
    "jazz festival + live music",
    "book fair",
    "farmers market + local food",
    "charity run",
    "movie night",
    "tech summit",
)
TEXT = _topics(
    "text",
    "bread baking",
    "football match",
    "space launch + rocket science",
    "puppy training",
    "chess club + board games",
    "home workout",
)
TOPICS = PICTURE + OCR + TEXT

POSTERS = {
    "jazzfestival": PosterWords(("jazz", "trumpet"), ("festival", "saxophone", "concert", "melody")),
    "bookfair": PosterWords(("library", "novels"), ("authors", "stories", "reading", "poetry")),
    "farmersmarket": PosterWords(("market", "tomatoes"), ("honey", "harvest", "cheese", "farmers")),
    "charityrun": PosterWords(("runners", "charity"), ("marathon", "finish", "donate", "kilometre")),
    "movienight": PosterWords(("cinema", "popcorn"), ("screen", "director", "comedy", "movie")),
    "techsummit": PosterWords(("software", "robots"), ("keynote", "startup", "network", "machine")),
}
POSTER_FILLERS = ("welcome", "sunday", "entrance", "tickets", "everyone")
"""Words that any poster may bear."""

KEYPHRASE_WORDS = frozenset(word for topic in TOPICS for word in topic.words + topic.partner)
POSTER_WORDS = tuple(
    sorted({word for poster in POSTERS.values() for word in poster.keys + poster.others} | set(POSTER_FILLERS))
)
STRAY_WORDS = tuple(word for word in POSTER_WORDS if word not in KEYPHRASE_WORDS)
"""Poster words that also turn up in texts where they mean nothing, so that a training vocabulary knows them."""

RARE_HASHTAGS = ("teapotcollectors", "borrowedumbrella", "sidewalkpiano")
