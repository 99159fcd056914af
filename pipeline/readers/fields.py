"""Which field of a record, or column of a table, is taken for what. Names decide, as tools and people write them.

Capitals, spaces, `_` and `-` do not count: `Tweet Id`, `tweet_id` and `tweetId` are one name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

_IGNORED = re.compile(r"[\s_\-]+")

SURE_IDS = ("id", "id_str", "tweet_id")
SURE_TEXTS = ("text", "full_text", "tweet_text")
"""Names by which a JSON object shows that it is a plain record. A table shows it by its other names too."""

FILES = ("image", "file", "image_file", "image_path", "filename", "img")
URLS = ("image_url", "img_url", "media_url", "photo_url", "picture_url", "media_url_https", "url")
LISTS = ("images", "photos", "media", "image", "img", "jpg")
"""Fields that may hold several pictures. Each of them may hold one as well."""
SEPARATED = (
    *("media_urls", "photo_urls", "image_urls", "img_urls", "photos_url", "attachments", "entities.media"),
    *("media_files", "photo", "picture", "pictures"),
)
"""Fields of tables that may hold several pictures as one text, with a sign between them."""

_NAMES: dict[str, tuple[str, ...]] = {
    "id": (*SURE_IDS, "status_id", "post_id", "twitter_id", "key"),
    "text": (*SURE_TEXTS, "tweet", "content", "raw_content", "rendered_content", "body", "message", "caption"),
    "created_at": (
        *("created_at", "date", "datetime", "timestamp", "tweet_created_at", "tweet_date", "date_created", "posted_at"),
        *("posted_time", "published_at", "created", "timestamp_utc", "local_time", "time"),
    ),
    "collected_at": ("collected_at", "collection_time", "retrieved_at", "__twarc.retrieved_at"),
    "lang": ("lang", "language", "tweet_lang"),
    "hashtags": ("hashtags", "hashtag", "entities.hashtags", "entities_hashtags"),
    "split": ("split",),
    "visibility": ("visibility",),
    "alt": ("alt", "alt_text", "image_alt", "media_alt_texts"),
    "lists": (*LISTS, *SEPARATED),
    "files": FILES,
    "urls": URLS,
    "kinds": ("media_types", "media_type"),
    "beside": ("media_files",),
}


@dataclass(frozen=True)
class Fields:
    """The fields that are taken for each part of a post, in the order in which they are tried.

    id, text, created_at, collected_at, lang, hashtags, split, alt: as of a Post; `alt` is that of its picture.
    visibility: for whom a post of Mastodon is.
    lists, files, urls: of pictures: several ones, a file's name, an address.
    kinds, beside: of the pictures in a list, the kind of each (`photo`), and the name of its file.
    """

    id: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    created_at: tuple[str, ...] = ()
    collected_at: tuple[str, ...] = ()
    lang: tuple[str, ...] = ()
    hashtags: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()
    alt: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @cached_property
    def one_picture(self) -> tuple[str, ...]:
        """The fields that may name one picture, by its file or its URL."""
        return tuple(dict.fromkeys((*self.files, *self.lists)))

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """The fields that may hold the URL of one picture."""
        return tuple(dict.fromkeys((*self.one_picture, *self.urls)))

    @property
    def are_of_posts(self) -> bool:
        """Whether there is something to take for an id and for a text."""
        return bool(self.id and self.text)

    @property
    def used(self) -> tuple[str, ...]:
        """All fields that are read."""
        return tuple(dict.fromkeys(name for part in fields(self) for name in getattr(self, part.name)))


@lru_cache(maxsize=256)
def fields_of(names: tuple[str, ...]) -> Fields:
    """What the fields of a record, or the columns of a table, are taken for.

    Args:
        names: All names of the record or table.
    """
    by_name: dict[str, str] = {}
    for name in names:
        by_name.setdefault(_normal(name), name)
    return Fields(**{part: _present(wanted, by_name) for part, wanted in _NAMES.items()})


def _present(wanted: Iterable[str], by_name: dict[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(by_name[name] for name in map(_normal, wanted) if name in by_name))


def _normal(name: str) -> str:
    return _IGNORED.sub("", name).lower()
