"""Bad pictures without end, the same ones every time: sound JPEGs of every kind, damaged by seeded chance."""

import io
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.pipeline.images.bombs import START_OF_SCAN

RARE = Path(__file__).parent / "images" / "jpegs"
"""Kinds that Pillow cannot write; made with libjpeg-turbo's cjpeg and imagecodecs."""

Damage = Callable[[random.Random, bytearray], bytes]


def coloured(mode: str = "RGB", size: tuple[int, int] = (72, 56), seed: int = 0) -> Image.Image:
    """Coarse patches of random colours."""
    patches = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC).convert(mode)


def saved(image: Image.Image, **options: Any) -> bytes:
    """As a JPEG, unless `options` say otherwise."""
    buffer = io.BytesIO()
    image.save(buffer, **{"format": "JPEG", **options})
    return buffer.getvalue()


@cache
def sound() -> tuple[bytes, ...]:
    """One of each kind, all whole."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    return (
        saved(coloured()),
        saved(coloured(), progressive=True, quality=95),
        saved(coloured(), exif=exif, icc_profile=bytes(range(256)) * 9, comment=b"hello"),
        saved(coloured("CMYK")),
        saved(coloured("L")),
        saved(coloured(), restart_marker_blocks=2, subsampling=0),
        saved(coloured(), format="MPO", save_all=True, append_images=[coloured(seed=1)]),
        *(path.read_bytes() for path in sorted(RARE.glob("*.jpg"))),
    )


def flipped(rng: random.Random, data: bytearray) -> bytes:
    """Some bits, more often in the header."""
    for _ in range(rng.choice((1, 1, 2, 8, 40))):
        at = rng.randrange(len(data) if rng.random() < 0.6 else min(len(data), 700))
        data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def cut(rng: random.Random, data: bytearray) -> bytes:
    """The rest is missing."""
    return bytes(data[: rng.randrange(len(data))])


def holed(rng: random.Random, data: bytearray) -> bytes:
    """A stretch is missing, zero, or there twice."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randrange(1, 300))
    middle = rng.choice((b"", bytes(end - start), bytes(data[start:end]) * 2))
    return bytes(data[:start]) + middle + bytes(data[end:])


def marked(rng: random.Random, data: bytearray) -> bytes:
    """A marker became another, or its length another."""
    markers = [at for at in range(len(data) - 3) if data[at] == 0xFF and data[at + 1] >= 0xC0]
    at = rng.choice(markers)
    if rng.random() < 0.5:
        data[at + 1] = rng.randrange(0xC0, 0x100)
    else:
        data[at + 2 : at + 4] = rng.randrange(0x10000).to_bytes(2, "big")
    return bytes(data)


def spliced(rng: random.Random, data: bytearray) -> bytes:
    """The header of one with the pixels of another."""
    other = rng.choice(sound())
    here, there = bytes(data).find(START_OF_SCAN), other.find(START_OF_SCAN)
    return bytes(data[:here]) + other[there:]


def resized(rng: random.Random, data: bytearray) -> bytes:
    """The frame header says another size, precision, or channels."""
    frames = [at for at in range(len(data) - 20) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2)]
    if frames:
        at = frames[0] + rng.randrange(4, 19)
        data[at] = rng.randrange(256)
    return bytes(data)


def surrounded(rng: random.Random, data: bytearray) -> bytes:
    """Something stands before it or after it."""
    other = rng.choice((b"<html>", b"\n", rng.randbytes(99), rng.choice(sound())))
    return bytes(data) + other if rng.random() < 0.7 else other + bytes(data)


DAMAGES: tuple[Damage, ...] = (flipped, cut, holed, marked, spliced, resized, surrounded)


def damaged(number: int, seed: int = 0, damages: tuple[Damage, ...] = DAMAGES) -> Iterator[bytes]:
    """`number` pictures, each kind and each damage in turn, sometimes two damages."""
    kinds = sound()
    for index in range(number):
        rng = random.Random(f"{seed} {index}")
        data = damages[index % len(damages)](rng, bytearray(kinds[index // len(damages) % len(kinds)]))
        if data and rng.random() < 0.2:
            data = flipped(rng, bytearray(data))
        yield data
