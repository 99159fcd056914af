"""Posters: a few printed words. Layout and colours are drawn without a look at the words' topic."""

import random

from PIL import Image, ImageDraw, ImageFont

from m3h.sample.draw import Colour, hsv
from m3h.sample.plan import POSTER_FILLERS, POSTERS

POSTER_SIZE = (288, 216)
MARGIN = 14


def choose_words(rng: random.Random, hashtag: str) -> list[str]:
    """Four to six words, at least one of them a key word of the hashtag, in random order."""
    poster = POSTERS[hashtag]
    words = rng.sample(poster.keys, rng.choice((1, 2, 2)))
    words += rng.sample(poster.others, 3 if len(words) == 1 else rng.choice((2, 3)))
    words += rng.sample(POSTER_FILLERS, rng.choice((0, 1)))
    rng.shuffle(words)
    return words


def _colours(rng: random.Random) -> tuple[Colour, Colour]:
    """Paper and ink, far apart in brightness."""
    light = hsv(rng.random(), rng.uniform(0.0, 0.25), rng.uniform(0.93, 1.0))
    dark = hsv(rng.random(), rng.uniform(0.5, 0.9), rng.uniform(0.08, 0.3))
    return (light, dark) if rng.random() < 0.7 else (dark, light)


def draw_poster(rng: random.Random, words: list[str]) -> Image.Image:
    """One word a line, as large as the sheet allows."""
    paper, ink = _colours(rng)
    image = Image.new("RGB", POSTER_SIZE, paper)
    draw = ImageDraw.Draw(image)
    width, height = POSTER_SIZE
    case = rng.choice((str.lower, str.title, str.upper))
    lines = [case(word) for word in words]
    step = (height - 2 * MARGIN) / len(lines)
    size = round(min(step * rng.uniform(0.72, 0.82), 44))
    while max(draw.textlength(line, ImageFont.load_default(size)) for line in lines) > width - 2 * MARGIN - 10:
        size -= 1
    font = ImageFont.load_default(size)
    align = rng.choice(("l", "m", "r"))
    x = {"l": MARGIN + 6, "m": width / 2, "r": width - MARGIN - 6}[align]
    shift = rng.uniform(-4, 4)
    for i, line in enumerate(lines):
        draw.text((x, MARGIN + step * (i + 0.5) + shift), line, fill=ink, font=font, anchor=f"{align}m")
    _ornament(rng, draw, ink)
    return image


def _ornament(rng: random.Random, draw: ImageDraw.ImageDraw, ink: Colour) -> None:
    """A frame, a bar on top and below, or nothing; always outside of the words."""
    width, height = POSTER_SIZE
    kind = rng.choice(("frame", "bars", "none"))
    if kind == "frame":
        draw.rectangle((3, 3, width - 4, height - 4), outline=ink, width=rng.randint(1, 3))
    elif kind == "bars":
        thick = rng.randint(3, 7)
        draw.rectangle((0, 0, width, thick), fill=ink)
        draw.rectangle((0, height - thick, width, height), fill=ink)
