"""Image wordings: which OCR words may follow a post's text (paper §3.1, §4; thresholds from the released data)."""

from collections.abc import Container, Sequence

MAX_SHORT_SHARE = 0.75
"""A reading is noise from this share of words shorter than 3 characters on."""
MIN_LONG_WORDS = 3
"""A reading is noise with fewer words longer than 3 characters."""


def wording(tokens: Sequence[str], vocabulary: Container[str] | None = None) -> list[str]:
    """The OCR tokens worth reading: alphabetic, longer than one character, in `vocabulary`; [] for a noisy reading.

    vocabulary: the training split's words, so that nothing of validation or test is learned; None lets all pass.
    """
    kept = [t for t in tokens if len(t) > 1 and t.isalpha() and (vocabulary is None or t in vocabulary)]
    short = sum(len(token) < 3 for token in kept)
    long = sum(len(token) > 3 for token in kept)
    if not kept or short / len(kept) >= MAX_SHORT_SHARE or long < MIN_LONG_WORDS:
        return []
    return kept
