"""`stats`: the paper's Table 1 and its figures on image wordings and attributes, for any dataset.

These definitions give the paper's numbers on the released data:

* post_len: the mean number of source tokens in a post.
* keyphrase_len: the mean number of words over all occurrences of keyphrases.
* present_pct: the share of keyphrase occurrences that are a contiguous run of the source after both are Porter-stemmed.
* vocab: the number of distinct tokens of sources and keyphrases.
* keyphrase_word_pct: of the posts with a known word in their picture, the share with a word of a keyphrase there.
* keyphrase_pct: of the same posts, the share with a whole keyphrase there.

No word is stemmed for the last two. They are 28.1 and 15.6 % of the released test split; the paper says 32 and 13 % of
all its data.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from statistics import mean, median
from typing import Any

from m3h.pipeline.progress.monitor import tracked
from m3h.schemas.dataset import Dataset
from m3h.schemas.manifest import KEPT_BY_RULE
from m3h.schemas.posts import SPLITS
from m3h.schemas.programs import import_alone
from m3h.schemas.tables import format_table

TOP_ATTRIBUTES = 10
_stem = lru_cache(maxsize=None)(import_alone("nltk.stem.porter").PorterStemmer().stem)
_Post = dict[str, Any]


def statistics(dataset: Dataset) -> dict[str, Any]:
    """The figures of train, valid, test, ocr, attributes and rare_hashtags, and the fields that could not be read.

    ocr and attributes are None if the dataset lacks the feature, rare_hashtags if its posts were cleaned by others. An
    empty split has zeros.
    """
    posts = dataset.posts.select(["split", "tokens", "keyphrases", "image_sha256"]).to_pylist()
    by_split = {split: [post for post in posts if post["split"] == split] for split in SPLITS}
    found: dict[str, Any] = {split: table1(by_split[split]) for split in tracked("splits", SPLITS, alike=False)}
    counts = dataset.manifest.counts
    found |= {"ocr": None, "attributes": None, "unread_fields": counts["unread_fields"]}
    found[KEPT_BY_RULE] = counts.get(KEPT_BY_RULE)
    if dataset.has_feature("ocr"):
        table = dataset.table("ocr").select(["image_sha256", "text", "tokens"]).to_pylist()
        readings = {row["image_sha256"]: row for row in table}
        found["ocr"] = wordings(posts, readings, vocabulary(by_split["train"] or posts))
    if dataset.has_feature("attributes"):
        table = dataset.table("attributes").select(["image_sha256", "labels"]).to_pylist()
        labels = {row["image_sha256"]: row["labels"] for row in table}
        counts = Counter(label for post in posts for label in labels.get(post["image_sha256"], ()))
        found["attributes"] = {"top": [[label, n] for label, n in counts.most_common(TOP_ATTRIBUTES)]}
    return found


def table1(posts: Sequence[_Post]) -> dict[str, float]:
    """One column of Table 1: the figures of the posts of one split."""
    phrases = [phrase for post in posts for phrase in post["keyphrases"]]
    present = sum(is_present(phrase.split(), post["tokens"]) for post in posts for phrase in post["keyphrases"])
    return {
        "posts": len(posts),
        "post_len": _mean(len(post["tokens"]) for post in posts),
        "keyphrases_per_post": len(phrases) / len(posts) if posts else 0.0,
        "unique_keyphrases": len(set(phrases)),
        "keyphrase_len": _mean(len(phrase.split()) for phrase in phrases),
        "present_pct": _percent(present, len(phrases)),
        "vocab": len(vocabulary(posts)),
    }


def is_present(phrase: Sequence[str], source: Sequence[str]) -> bool:
    """Whether the stemmed phrase is a contiguous run of the stemmed source."""
    return _is_run([_stem(word) for word in phrase], [_stem(word) for word in source])


def _is_run(wanted: list[str], words: list[str]) -> bool:
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))


def vocabulary(posts: Iterable[_Post]) -> set[str]:
    """Distinct tokens of sources and keyphrases."""
    words: set[str] = set()
    for post in posts:
        words.update(post["tokens"])
        words.update(word for phrase in post["keyphrases"] for word in phrase.split())
    return words


def wordings(posts: Sequence[_Post], readings: dict[str, _Post], words: set[str]) -> dict[str, float]:
    """The figures on the texts in pictures.

    Args:
        posts: rows of the posts table.
        readings: image_sha256 -> row of the ocr table.
        words: the known words.

    Returns:
        The percentage of posts whose picture has any text, and any word of `words`. Of the latter: the median number of
        tokens, and the percentages with a keyphrase's word and with a whole keyphrase among them.
    """
    empty: _Post = {"text": "", "tokens": []}
    post_readings = [readings.get(post["image_sha256"], empty) for post in posts]
    known = [
        (reading["tokens"], [phrase.split() for phrase in post["keyphrases"]])
        for post, reading in zip(posts, post_readings, strict=True)
        if not words.isdisjoint(reading["tokens"])
    ]
    shared = sum(any(not set(phrase).isdisjoint(tokens) for phrase in phrases) for tokens, phrases in known)
    whole = sum(any(_is_run(phrase, tokens) for phrase in phrases) for tokens, phrases in known)
    return {
        "with_text_pct": _percent(sum(bool(reading["text"].strip()) for reading in post_readings), len(posts)),
        "in_vocab_pct": _percent(len(known), len(posts)),
        "median_tokens": float(median(len(tokens) for tokens, _ in known)) if known else 0.0,
        "keyphrase_word_pct": _percent(shared, len(known)),
        "keyphrase_pct": _percent(whole, len(known)),
    }


def _mean(values: Iterable[int]) -> float:
    listed = list(values)
    return float(mean(listed)) if listed else 0.0


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


COLUMNS = (
    ("posts", "#Post", "{:.0f}"),
    ("post_len", "Post Len", "{:.2f}"),
    ("keyphrases_per_post", "#KP/Post", "{:.2f}"),
    ("unique_keyphrases", "|KP|", "{:.0f}"),
    ("keyphrase_len", "KP Len", "{:.2f}"),
    ("present_pct", "% of occ. KP", "{:.2f}"),
    ("vocab", "Vocab", "{:.0f}"),
)
"""Of Table 1: the figure, the paper's title, how it is written."""


def table(found: dict[str, Any]) -> str:
    """For people: Table 1's rows and columns."""
    rows = [(split, *(form.format(found[split][name]) for name, _, form in COLUMNS)) for split in SPLITS]
    titles = ("", *(title for _, title, _ in COLUMNS))
    lines = format_table(rows, headings=titles, right=range(1, len(titles)))
    if ocr := found["ocr"]:
        lines.append(
            f"ocr: {ocr['with_text_pct']:.1f}% of posts have text in their picture, {ocr['in_vocab_pct']:.1f}% a known "
            f"word; median {ocr['median_tokens']:g} tokens"
        )
        lines.append(
            f"     of the latter, {ocr['keyphrase_word_pct']:.1f}% have a keyphrase's word there, "
            f"{ocr['keyphrase_pct']:.1f}% a whole keyphrase"
        )
    if kept := found[KEPT_BY_RULE]:
        by_rule = ", ".join(f"{number} by {rule}" for rule, number in sorted(kept.items()))
        lines.append(f"clean.rare_hashtags: the build would have kept {by_rule}")
    if unread := ", ".join(f"{field} {number}" for field, number in found["unread_fields"].items()):
        lines.append(f"fields that could not be read, in posts that were read without them: {unread}")
    if found["attributes"]:
        top = ", ".join(f"{label} {number}" for label, number in found["attributes"]["top"])
        lines.append(f"attributes: {top}")
    return "\n".join(lines)
