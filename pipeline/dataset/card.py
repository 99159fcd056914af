"""card.md: what a dataset is, for people and for dataset hubs (the front matter is Hugging Face's dataset card YAML).

The part between two marks is made from the manifest at each change. The rest is the user's: it is written once, and
edits of it stay. Of the front matter, three fields follow the dataset; all others are the user's too.
"""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from m3h.schemas.manifest import Manifest, rules_of
from m3h.schemas.posts import SPLITS

CARD = "card.md"
MAX_BYTES = 1 << 20
"""A longer file is not taken for a card of ours."""

BEGIN = "<!-- made by m3h from manifest.json; text outside of these two marks is yours: begin -->"
END = "<!-- made by m3h: end -->"

NAME, LICENSE_URL = "Keyphrases of posts with pictures", "https://choosealicense.com/no-permission/"

_SIZES = (
    *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")),
    *((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B")),
)
_TERMS = """
## Licence and terms

No licence is stated for this dataset. The posts and pictures belong to their authors, and the terms of the service
that they were taken from hold for them. Say here, and under `license` above, what others may do with the dataset.

## Asking for removal

Authors may ask that a post or a picture is removed. State an address here that such a request reaches. A request names
the post's id or address. `m3h forget --dataset DIR --ids FILE` removes the posts with their pictures and feature rows,
proves that no trace is left, and keeps them out of later builds.
"""


def card_of(manifest: Manifest, known: str | None = None) -> str | None:
    """The text of a dataset's card.

    Args:
        manifest: What the dataset contains.
        known: The card that is there. Its text outside of the marks stays. None where there is none.

    Returns:
        The text. None where `known` has no front matter or not both marks: it is a card of the user's own.
    """
    if known is None:
        return _joined(_front(manifest) | _chosen(manifest), f"\n# {NAME}\n\n", made_part(manifest), _TERMS)
    front, body = front_matter(known)
    before, begin, rest = body.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not front or not begin or not end:
        return None
    return _joined(front | _chosen(manifest), before, made_part(manifest), after.removeprefix("\n"))


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The fields above a card's text, and the text; no fields where there are none, or they are not YAML."""
    begin, line, rest = text.partition("---\n")
    fields, end, body = rest.partition("\n---\n")
    if begin or not line or not end:
        return {}, text
    try:
        found = yaml.safe_load(fields)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}, text
    return (found, body) if isinstance(found, dict) else ({}, text)


def about(card: str | None) -> dict[str, str]:
    """What croissant.json takes from the card: name, description, license and url."""
    front = front_matter(card)[0] if card else {}
    link = front.get("license_link")
    return {
        "name": str(front.get("pretty_name") or NAME),
        "description": "Posts with one picture each and their hashtags as keyphrases; card.md tells how it was made.",
        "license": str(link or front.get("license") or LICENSE_URL),
        "url": str(front.get("url") or "https://arxiv.org/abs/2011.01565"),
    }


def made_part(manifest: Manifest) -> str:
    """What the manifest says, as Markdown. Nothing in it that came from a dump or a name of a file is markup."""
    sections = (
        ("Size", _size(manifest)),
        ("Provenance", _provenance(manifest)),
        ("Rules", _rules(manifest)),
        ("Features", _features(manifest)),
        ("Personal data", _personal(manifest)),
        ("To know before use", [f"* {_plain(note)}" for note in manifest.notes] or ["Nothing out of the ordinary."]),
        (
            "Computed with",
            [", ".join(f"{_plain(name)} {_plain(at)}" for name, at in sorted(manifest.lineage.items())) or "-"],
        ),
    )
    return "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections)


def _joined(front: Mapping[str, Any], before: str, made: str, after: str) -> str:
    fields = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{fields}---\n{before}{BEGIN}\n\n{made}\n\n{END}\n{after}"


def _front(manifest: Manifest) -> dict[str, Any]:
    """The fields that are the user's from then on."""
    return {
        "pretty_name": NAME,
        "license": "other",
        "license_name": "terms-of-the-source",
        "license_link": LICENSE_URL,
        "task_categories": ["text-generation", "text-classification"],
        "tags": ["keyphrase-prediction", "hashtag-recommendation", "multimodal", "social-media", "m3h"],
        "annotations_creators": ["found"],
        "source_datasets": ["original"],
    }


def _chosen(manifest: Manifest) -> dict[str, Any]:
    """The fields that follow the dataset."""
    kept = manifest.counts["kept"]
    languages = manifest.config.get("clean", {}).get("languages") or []
    parts = ("posts/part-*.parquet", "dropped/part-*.parquet")
    configs = [
        {"config_name": part.partition("/")[0], "data_files": [{"split": part.partition("/")[0], "path": part}]}
        for part in parts
        if any(name.startswith(part.partition("*")[0]) for name in manifest.files)
    ]
    return {
        "language": list(languages),
        "size_categories": [next((name for below, name in _SIZES if kept < below), "n>1T")],
        "configs": configs,
    }


def _size(manifest: Manifest) -> Iterator[str]:
    counts = manifest.counts
    yield f"{counts['read']} records were read, {counts['kept']} kept and {counts['read'] - counts['kept']} dropped."
    yield ""
    yield from _table(("split", "posts"), [(split, counts["splits"].get(split, 0)) for split in SPLITS])
    dropped = [
        (stage, reason, n)
        for stage, reasons in sorted(counts["dropped"].items())
        for reason, n in sorted(reasons.items())
    ]
    if dropped:
        yield ""
        yield from _table(("dropped by", "reason", "records"), dropped)
    if leaks := counts["leaks"]["groups"]:
        yield ""
        yield f"{leaks} groups of posts that share a picture or a text stand in more than one split."


def _provenance(manifest: Manifest) -> Iterator[str]:
    yield "The posts were read from these files:"
    yield ""
    rows = [(dump["name"], dump["format"], f"`{dump['sha256'][:16]}`") for dump in manifest.inputs]
    yield from _table(("file", "format", "sha256 begins"), rows)
    yield ""
    yield "m3h made the dataset (Wang et al., Cross-Media Keyphrase Prediction, EMNLP 2020). `manifest.json` has every"
    yield "setting, and the sha256 of every file."


def _rules(manifest: Manifest) -> list[str]:
    chosen = {part: manifest.config.get(part) or {} for part in ("clean", "image", "split", "text")}
    known = rules_of(manifest.config)
    rows = [
        (f"{part}.{name}", value)
        for part, rules in chosen.items()
        if part in known
        for name, value in sorted(rules.items())
    ]
    return _table(("rule", "value"), rows)


def _features(manifest: Manifest) -> list[str]:
    rows = [
        (name, feature.current, feature.current_version.rows, feature.current_version.weights)
        for name, feature in sorted(manifest.features.items())
    ]
    return _table(("feature", "version", "pictures", "weights"), rows) if rows else ["None."]


def _personal(manifest: Manifest) -> Iterator[str]:
    yield "Posts are written by people, and stay personal data: a name in a text, or a face in a picture, may identify"
    yield "someone. Ids of posts are stored, so that their authors' wish to delete them can be followed."
    masked = "masked" if manifest.config.get("text", {}).get("mask") else "**not** masked"
    yield f"Account names, e-mail addresses, phone numbers and links to account pages are {masked} in the texts."


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [" | ".join(_plain(cell) for cell in row) for row in rows]
    return [f"| {line} |" for line in (" | ".join(heads), " | ".join("---" for _ in heads), *lines)]


_MARKUP = str.maketrans({sign: f"\\{sign}" for sign in "\\*_[]|#~"})


def _plain(value: object) -> str:
    """A value in a line of Markdown: no markup, no mark of ours, no end of the line."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = " ".join(html.escape(text, quote=False).split())
    return text if text.startswith("`") and text.count("`") == 2 else text.translate(_MARKUP).replace("`", "\\`")
