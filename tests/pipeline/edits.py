"""Near copies made on purpose, as people make them: captions with another word, pictures cropped and saved again."""

import random
import string
from collections.abc import Sequence

WORDS = """
morning river bridge market garden window summer paper silver music street corner yellow bottle people before
because nothing together holiday weekend beautiful finally winter little friends support amazing tickets
season tonight football running coffee family library mountain weather beach station kitchen orange teacher
welcome another evening project village science history picture language number question answer company
student moment
""".split()  # noqa: SIM905


def captions(number: int, seed: int = 0) -> list[str]:
    """Distinct normalised texts of 8 to 20 words."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(8, 20))) for _ in range(number)]


def caption_edits(texts: Sequence[str], seed: int = 1) -> list[str]:
    """Each text with one word replaced, one letter mistyped, or one word added, in turn."""
    rng = random.Random(seed)
    edits = (_replace, _mistype, _add)
    return [" ".join(edits[i % 3](text.split(), rng)) for i, text in enumerate(texts)]


def _replace(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return [*words[:at], rng.choice([word for word in WORDS if word != words[at]]), *words[at + 1 :]]


def _mistype(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    letters = list(words[at])
    place = rng.randrange(len(letters))
    letters[place] = rng.choice([letter for letter in string.ascii_lowercase if letter != letters[place]])
    return [*words[:at], "".join(letters), *words[at + 1 :]]


def _add(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words) + 1)
    return [*words[:at], rng.choice(WORDS), *words[at:]]
