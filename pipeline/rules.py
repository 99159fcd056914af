"""The rules of a build, one class a door. Defaults are the paper's (§4) where it speaks."""

from pathlib import Path
from typing import Literal

import pydantic

from schemas.config import Settings


class ReadRules(Settings):
    """How dumps are read."""

    max_line_bytes: int = pydantic.Field(16 << 20, ge=1)  # a longer line is dropped, and never held in memory


class CleanRules(Settings):
    """Which posts stay (§4)."""

    min_tokens: int = pydantic.Field(4, ge=0)  # shorter posts go
    need_hashtag: bool = True  # posts without one go: there would be nothing to learn from them
    max_hashtags: int = pydantic.Field(5, ge=1)  # posts with more go
    min_hashtag_count: int = pydantic.Field(10, ge=1)  # posts with a hashtag seen in fewer posts go, to a fixed point
    unique_texts: bool = True  # of posts with one text, the first stays
    near_text: float = pydantic.Field(0.65, ge=0, le=1)  # similarity from which two texts are near; 0: none are
    drop_near_texts: bool = False  # of near texts, the first stays; else they share a group and never cross splits
    unique_images: bool = True  # of posts with one picture, the first stays
    near_images: int = pydantic.Field(5, ge=0)  # places that agree in two near pictures; 0: only equal bytes are a copy
    drop_near_images: bool = False  # of near pictures, the first post stays; else they share a group
    drop_retweets: bool = True
    quotes: Literal["keep", "drop"] = "keep"  # comments on someone else's post; the paper is silent
    languages: tuple[str, ...] = ("en",)  # () lets every language pass
    language_guess: Literal["common", "all"] = "common"  # among which languages, where the dump states none


class TextRules(Settings):
    """How text becomes tokens and hashtags become keyphrases."""

    hashtag_map: Path | None = None  # TSV of hashtag and keyphrase; overrides the segmenter
    word_statistics: Path | None = None  # folder with counts_1grams.txt and counts_2grams.txt; None: the installed ones
    mask: bool = True  # accounts, e-mail addresses and phone numbers give way to placeholders in what is stored


class ImageRules(Settings):
    """Which pictures are read (§4: one colour JPG)."""

    max_bytes: int = pydantic.Field(20_000_000, ge=1)
    max_pixels: int = pydantic.Field(50_000_000, ge=1)
    allow_grey: bool = False
    timeout_seconds: float = pydantic.Field(20.0, gt=0)  # for looking at one picture; one that takes longer is dropped


class SplitRules(Settings):
    """How posts without a split of their own are divided."""

    valid: float = pydantic.Field(0.1, ge=0, le=1)  # share of the groups
    test: float = pydantic.Field(0.1, ge=0, le=1)
    key: str = "m3h"  # another key gives another, equally fixed, division


class ShardRules(Settings):
    """How many rows a file holds."""

    posts: int = pydantic.Field(10_000, ge=1)
    images: int = pydantic.Field(64, ge=1)  # the unit of extraction, and of what a kill can cost
