"""Which OCR words may follow a text: thresholds worked by hand."""

import pytest

from m3h.schemas.wording import wording


@pytest.mark.parametrize(
    ("tokens", "vocabulary", "expected"),
    [
        ("river bank open", None, "river bank open"),  # three words longer than 3
        ("river bank the", None, ""),  # two
        ("river bank open ab cd ef gh ij kl mn op", None, "river bank open ab cd ef gh ij kl mn op"),  # 8 / 11 short
        ("river bank open ab cd ef gh ij kl mn op qr", None, ""),  # 9 / 12 = 0.75
        ("river bank open a 7 x9 --- <url>", None, "river bank open"),  # one letter, digits, tags
        ("river bank open a b c d e f g h i j k", None, "river bank open"),  # single letters do not count as short
        ("river bank open door", {"river", "bank", "door"}, "river bank door"),
        ("river bank open door", {"river", "bank", "the"}, ""),
        ("river bank open", set(), ""),
        ("", None, ""),
        ("über straße köln", None, "über straße köln"),
        ("river river river", None, "river river river"),  # occurrences, not distinct words
    ],
)
def test_what_may_follow(tokens, vocabulary, expected):
    assert wording(tokens.split(), vocabulary) == expected.split()
