"""Near copies made on purpose, as people make them: captions with another word, pictures cropped and saved again."""

import io
import random
import string
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw

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


def recode(picture: Image.Image, rng: random.Random) -> Image.Image:
    """Saved as a small JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=rng.choice((20, 30, 50)))
    return Image.open(file).convert("RGB")


def rescale(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A quarter to six tenths of the size."""
    factor = rng.uniform(0.25, 0.6)
    width, height = (max(48, int(side * factor)) for side in picture.size)
    return recode(picture.resize((width, height)), rng)


def overlay(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A box of another colour over up to 30 % of the width and 15 % of the height."""
    picture = picture.copy()
    width, height = int(picture.width * rng.uniform(0.15, 0.3)), int(picture.height * rng.uniform(0.08, 0.15))
    x, y = rng.randrange(picture.width - width), rng.randrange(picture.height - height)
    colour = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
    ImageDraw.Draw(picture).rectangle((x, y, x + width, y + height), fill=colour)
    return recode(picture, rng)


def crop(picture: Image.Image, rng: random.Random) -> Image.Image:
    """75 to 95 % of the width and of the height, anywhere."""
    width, height = (int(side * rng.uniform(0.75, 0.95)) for side in picture.size)
    x, y = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    return recode(picture.crop((x, y, x + width, y + height)), rng)


PICTURE_EDITS: Mapping[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "re-encoded": recode,
    "rescaled": rescale,
    "overlaid": overlay,
    "cropped": crop,
}
