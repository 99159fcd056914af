"""The rules of a build, one class per stage. The defaults are the paper's (§4), where the paper states a value."""

import re
from pathlib import Path
from typing import Any, Literal

import jmespath
import pydantic
from jmespath.exceptions import JMESPathError

from m3h.schemas.config import Settings

MAPPED = (
    *("id", "text", "created_at", "lang", "hashtags", "split", "image", "images", "image_url", "alt", "collected_at"),
)
"""What fields of records can be mapped to, as the format `jsonl` names it."""
_NAME = re.compile(r"\w[\w .:#-]*")


def compiled_expression(expression: str) -> Any:
    """A JMESPath expression, compiled; None for a name that is none, such as `Tweet Id`.

    Raises:
        ValueError: it is neither.
    """
    try:
        return jmespath.compile(expression)
    except JMESPathError as error:
        if _NAME.fullmatch(expression):
            return None
        raise ValueError(f"no JMESPath expression: {' '.join(str(error).split())}") from error


class ReadRules(Settings):
    """How dumps are read."""

    max_line_bytes: int = pydantic.Field(16 << 20, ge=1)  # a longer line is dropped and never held in memory
    fields: dict[str, str] = pydantic.Field(
        {}
    )  # what a record's fields are taken for: {id: tweet.id, text: body}, in JMESPath
    table: str = ""  # which table of a database is read; "" where one alone can be

    @pydantic.field_validator("fields")
    @classmethod
    def _check_fields(cls, fields: dict[str, str]) -> dict[str, str]:
        for target, expression in fields.items():
            if target not in MAPPED:
                raise ValueError(f"no field '{target}' to map to; known: {', '.join(MAPPED)}")
            compiled_expression(expression)
        return fields


class CleanRules(Settings):
    """Which posts stay (§4)."""

    min_tokens: int = pydantic.Field(4, ge=0)  # shorter posts are dropped
    need_hashtag: bool = True  # posts without a hashtag are dropped, because they have no keyphrase to learn
    max_hashtags: int = pydantic.Field(5, ge=1)  # posts with more are dropped
    min_hashtag_count: int = pydantic.Field(10, ge=1)  # a hashtag in fewer posts is rare
    rare_hashtags: Literal["drop_post", "drop_tag"] = (
        "drop_post"  # posts with a rare one are dropped until there is none; or the hashtags, and posts without another
    )
    unique_texts: bool = True  # of posts with the same text, only the first stays
    near_text: float = pydantic.Field(0.65, ge=0, le=1)  # least similarity of near duplicates; 0 switches this off
    drop_near_texts: bool = (
        False  # True: only the first of near duplicates stays; False: they share a group and a split
    )
    unique_images: bool = True  # of posts with the same picture, only the first stays
    near_images: int = pydantic.Field(
        5, ge=0
    )  # least matching keypoints of near copies; 0: only equal bytes are copies
    drop_near_images: bool = False  # True: only the first post of near copies stays; False: they share a group
    drop_retweets: bool = True
    drop_sensitive: bool = False  # posts whose picture is marked as nothing for everybody, before it is looked at
    quotes: Literal["keep", "drop"] = "keep"  # comments on another post; the paper does not mention them
    languages: tuple[str, ...] = ("en",)  # () accepts every language
    language_guess: Literal["common", "all"] = "common"  # candidates when the dump does not state the language


class TextRules(Settings):
    """How texts become tokens, and hashtags become keyphrases."""

    hashtag_map: Path | None = None  # TSV of hashtag and keyphrase; overrides the segmenter
    word_statistics: Path | None = (
        None  # folder with counts_1grams.txt and counts_2grams.txt; None: the installed files
    )
    mask: bool = True  # placeholders replace accounts, e-mail addresses and phone numbers in stored texts


class ImageRules(Settings):
    """Which pictures are accepted (§4: one colour JPG)."""

    max_bytes: int = pydantic.Field(20_000_000, ge=1)
    max_pixels: int = pydantic.Field(50_000_000, ge=1)
    allow_grey: bool = False
    timeout_seconds: float = pydantic.Field(20.0, gt=0)  # for one picture; a picture that takes longer is dropped


class SplitRules(Settings):
    """How posts without a given split are divided."""

    valid: float = pydantic.Field(0.1, ge=0, le=1)  # share of the groups
    test: float = pydantic.Field(0.1, ge=0, le=1)
    key: str = "m3h"  # another key gives another division, which is also always the same


class SafetyRules(Settings):
    """What a command may take away. Nothing of this changes what is built, and no dataset remembers it."""

    max_loss: float = pydantic.Field(0.01, ge=0, le=1)  # share of the posts or pictures; ten of each may always leave


class ExecutionRules(Settings):
    """How a build is carried out. Nothing of this changes what is built, and no dataset remembers it."""

    global_steps: Literal["auto", "one_worker", "rounds"] = (
        "auto"  # who decides what needs all posts: one process each, or all workers in rounds; auto: by the dumps' size
    )


class ShardRules(Settings):
    """How many rows a file has."""

    posts: int = pydantic.Field(10_000, ge=1)
    images: int = pydantic.Field(64, ge=1)  # the unit of extraction; a kill loses at most this work
