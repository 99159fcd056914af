"""The glossary: every reason for which a record or a picture is dropped, in plain words, and what can be done.

A rule is named by its field, such as `clean.min_tokens`. `why` adds the value that a dataset was built with.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from m3h.pipeline.config import BuildConfig
from m3h.pipeline.crawl.faults import REASONS as CRAWL_REASONS
from m3h.schemas.config import field_names

_FIELD = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")


@dataclass(frozen=True)
class Reason:
    """What a reason means. means: what was found. advice: what to do about it, "" if nothing is wrong."""

    means: str
    advice: str = ""

    @property
    def rules(self) -> list[str]:
        """The fields of the configuration that decide, in the order in which the texts name them."""
        known = set(field_names(BuildConfig))
        return [name for name in dict.fromkeys(_FIELD.findall(f"{self.means} {self.advice}")) if name in known]


_REPAIR = "Write the record out with `dropped --dumps`, repair it, and build with the repaired file as another dump."
_RETRY = "Once it can succeed, run `retry` with this reason."
_MISSING_OUT = "Nothing is wrong: such posts are not wanted."

_READING = {
    "not_utf8": Reason("The line is not UTF-8.", _REPAIR),
    "not_json": Reason("The line is not JSON: cut off, or of another format.", _REPAIR),
    "not_an_object": Reason("The line is JSON, but not an object with fields.", _REPAIR),
    "unknown_format": Reason("No reader recognises these fields as a post.", "Name the format with --format."),
    "missing_field": Reason("A field that every post must have is not there.", _REPAIR),
    "bad_field": Reason("A field holds a value of the wrong type or none of the allowed ones.", _REPAIR),
    "no_text": Reason("A picture of an image-text set has no text beside it.", "Pack each text next to its picture."),
    "bad_line": Reason("A line of a released dataset does not have its three fields, or one is empty.", _REPAIR),
    "bad_row": Reason("A row of a table has not as many fields as its header, or broken quotes.", _REPAIR),
    "unknown_columns": Reason(
        "No column of the table has a name that is known for an id and for a text; the detail lists them.",
        "Say with read.fields what they are.",
    ),
    "unknown_table": Reason(
        "None of the database's tables, or more than one, could be the one of the posts; the detail lists them.",
        "Name it with read.table, and its columns with read.fields where their names are others.",
    ),
    "line_too_long": Reason("The line has more bytes than read.max_line_bytes.", "Raise it, or split the file."),
    "record_too_large": Reason("The record has more characters than any real post.", _REPAIR),
    "notice": Reason("A message of the streaming API, such as a notice of a deletion: it is not a post.", _MISSING_OUT),
    "supplement": Reason(
        "No post, but what other records lack: the addresses of their pictures, or a whole text. It was given to them.",
        "Nothing is wrong.",
    ),
    "withheld": Reason("The post was withheld at its author's or a country's demand: it has no content.", ""),
    "deleted": Reason("The post was deleted, which its own record says or another one.", ""),
    "promoted": Reason("An advertisement that the web shows between posts.", _MISSING_OUT),
    "unavailable": Reason("The source has only a placeholder: the post was deleted, protected or suspended.", ""),
    "not_public": Reason(
        "Its author shows the post to followers or to people who are logged in, and not to everybody."
    ),
    "not_a_file": Reason("A member of the archive is not a regular file.", "Unpack the archive and name its files."),
    "unreadable_file": Reason(
        "The file is damaged from here on, or of a kind that holds no records; the detail says which.",
        "Fetch the dump again, or do what the detail says.",
    ),
}

_PICTURES = {
    "sensitive": Reason(
        "The author or a moderator marked the picture as nothing for everybody, and clean.drop_sensitive is set."
    ),
    "no_image": Reason("The post has no picture; the paper takes posts with exactly one.", _MISSING_OUT),
    "several_images": Reason("The post has several pictures; the paper takes posts with exactly one.", _MISSING_OUT),
    "no_url": Reason(
        "The record names its picture by a file alone, and this build fetches pictures by their URLs.",
        "Build with --images and the folder that has it.",
    ),
    "image_missing": Reason(
        "No file in the picture folders has the path or name that the record gives.", f"Add the file. {_RETRY}"
    ),
    "image_outside": Reason(
        "The name leads out of the picture folder by a link.", f"Put the file itself there. {_RETRY}"
    ),
    "image_not_a_file": Reason("The name is that of a folder, pipe, socket or device: it is never opened."),
    "image_unreadable": Reason(
        "The picture's file may not be read, or its disk fails.", f"Repair that; the detail names it. {_RETRY}"
    ),
    "image_empty": Reason("The picture's file has no bytes.", f"Fetch it again. {_RETRY}"),
    "image_not_jpeg": Reason("The picture is not a JPEG, whatever its name says.", _MISSING_OUT),
    "image_unsupported": Reason("A JPEG that not every decoder reads, such as a lossless or arithmetic-coded one."),
    "image_truncated": Reason("The picture ends before its pixels do: half a download.", f"Fetch it again. {_RETRY}"),
    "image_broken": Reason("The picture cannot be decoded.", f"Fetch it again. {_RETRY}"),
    "image_decoder_timeout": Reason("The picture was not decoded within image.timeout_seconds.", f"Raise it. {_RETRY}"),
    "image_decoder_memory": Reason("Decoding takes more memory than a picture of image.max_pixels can need."),
    "image_decoder_crash": Reason("The decoder crashed on the picture, and again in a new process."),
    "image_grey": Reason("The picture has no colour, and image.allow_grey is false.", _MISSING_OUT),
    "image_too_large": Reason("The picture has more bytes than image.max_bytes or more pixels than image.max_pixels."),
}

_CLEANING = {
    "too_few_tokens": Reason("The text has fewer tokens than clean.min_tokens, links and mentions counted."),
    "no_hashtag": Reason("The post has no hashtag, and so no keyphrase to learn.", _MISSING_OUT),
    "too_many_hashtags": Reason("The post has more hashtags than clean.max_hashtags."),
    "other_language": Reason("The post is in a language that clean.languages does not list; the detail names it."),
    "retweet": Reason("The post repeats another one, and clean.drop_retweets is set.", _MISSING_OUT),
    "quote": Reason("The post comments on another one, and clean.quotes says to drop such posts."),
    "duplicate_id": Reason("A newer record of the same post took its place; the detail says which.", _MISSING_OUT),
    "superseded": Reason(
        "The post was edited, and its last version took its place; the detail says which.", _MISSING_OUT
    ),
    "duplicate_text": Reason("An earlier post, named in the detail, has the same text, and clean.unique_texts is set."),
    "near_duplicate_text": Reason(
        "An earlier post, named in the detail, has nearly the same text (clean.near_text): clean.drop_near_texts."
    ),
    "duplicate_image": Reason(
        "An earlier post, named in the detail, shows the same picture; clean.unique_images is set."
    ),
    "near_duplicate_image": Reason(
        "An earlier post, named in the detail, has nearly the same picture (clean.near_images): clean.drop_near_images."
    ),
    "rare_hashtag": Reason(
        "The hashtag in the detail is in fewer posts than clean.min_hashtag_count, counted among the posts that stay; "
        "with clean.rare_hashtags=drop_tag, all hashtags of the post are."
    ),
    "forgotten": Reason("The post was forgotten on request. Only this row is kept of it."),
}

_FEATURES = {
    "ocr_timeout": Reason("Tesseract took longer than features.ocr.timeout_seconds.", f"Raise it. {_RETRY}"),
    "ocr_failed": Reason("Tesseract failed on the picture; the detail has its message.", _RETRY),
    "extractor_error": Reason(
        "An unexpected error: a bug in an extractor, or too little memory. The detail has its traceback.",
        "Report it with the traceback. The same build tries it again.",
    ),
}

_CRAWL = {
    name: Reason(f"{cause.description[0].upper()}{cause.description[1:]}.", _RETRY if cause.retry else "")
    for name, cause in CRAWL_REASONS.items()
}

REASONS: Mapping[str, Reason] = {**_READING, **_PICTURES, **_CLEANING, **_FEATURES, **_CRAWL}


def explained(reason: str) -> Reason:
    """What a reason means. For an unknown reason, a text that says so."""
    return REASONS.get(reason) or Reason("Another version of m3h wrote this reason; this one does not know it.")
