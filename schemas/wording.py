"""Image wordings: which OCR words may follow a post's text (paper §3.1, §4). Thresholds are from the released data."""

from collections.abc import Container, Sequence

MAX_SHORT_SHARE = 0.75
"""OCR text is noise where the share of words shorter than 3 characters is this or more."""
MIN_LONG_WORDS = 3
"""OCR text is noise where it has fewer words longer than 3 characters than this."""


def wording(tokens: Sequence[str], vocabulary: Container[str] | None = None) -> list[str]:
    """The useful OCR tokens: alphabetic, longer than one character, in `vocabulary`. [] where the text is noise.

    Args:
        tokens: Of the OCR text.
        vocabulary: The training split's words, so that nothing of validation or test is learned. None accepts all.
    """
    kept = [t for t in tokens if len(t) > 1 and t.isalpha() and (vocabulary is None or t in vocabulary)]
    short = sum(len(token) < 3 for token in kept)
    long = sum(len(token) > 3 for token in kept)
    if not kept or short / len(kept) >= MAX_SHORT_SHARE or long < MIN_LONG_WORDS:
        return []
    return kept
