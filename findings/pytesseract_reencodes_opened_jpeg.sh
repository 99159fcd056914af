#!/usr/bin/env bash
# pytesseract 0.3.13, Pillow 12.3.0 (Python 3.11), with Debian's tesseract-ocr 5.3.0, 2026-11-29
#
# Seen: pytesseract reads other words from an opened JPEG than from the path of the same file. It hands the program a
# file of its own, in the format that the image remembers: a JPEG is compressed a second time, at Pillow's quality
# of 75.
# `.convert("RGB")`, which changes no pixel, makes the image forget its format; then a PNG is written and the words are
# those of the path again.
#
# Expected: the pixels that were handed over. PNG is already what it takes for images without a format.
#
# Why it hurts here: pictures of tweets are JPEGs with small words in them, and the words are features. Two programs
# that differ in one innocent line, one opening the picture to check it first, do not agree on the words of one dataset,
# and neither can tell why.
#
# Output seen:
#   10 pictures: 7 have other words once opened, 0 once opened and converted
#   for example: 'free' is 'ree' once opened
set -euo pipefail
command -v tesseract > /dev/null || { echo "needs the program tesseract (Debian: tesseract-ocr)" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check pytesseract==0.3.13 pillow==12.3.0

OMP_THREAD_LIMIT=1 env/bin/python - <<'END'
import random
import sys

import pytesseract
from PIL import Image, ImageDraw, ImageFont

WORDS = """storm hour game of thrones love island world cup final breaking news happy birthday vote today limited
edition climate strike free shipping""".split()
SIZES = [ImageFont.load_default(size=size) for size in (11, 13, 16, 20, 28)]
PICTURES = 10


def colour(low: int, high: int) -> tuple[int, ...]:
    return tuple(random.randrange(low, high) for _ in range(3))


def draw(path: str) -> None:
    """Six lines of dark words on a light ground."""
    picture = Image.new("RGB", (640, 360), colour(120, 256))
    pen = ImageDraw.Draw(picture)
    for line in range(6):
        place = random.randrange(5, 200), 10 + line * 55
        pen.text(place, " ".join(random.sample(WORDS, 3)), font=random.choice(SIZES), fill=colour(0, 110))
    picture.save(path, quality=60)


def words(picture) -> list[str]:
    return pytesseract.image_to_string(picture).split()


random.seed(1)
opened = converted = 0
example = ""
for number in range(PICTURES):
    path = f"{number}.jpg"
    draw(path)
    by_path, by_image = words(path), words(Image.open(path))
    opened += by_image != by_path
    converted += words(Image.open(path).convert("RGB")) != by_path
    if len(by_image) == len(by_path):
        pairs = [pair for pair in zip(by_path, by_image) if pair[0] in WORDS and pair[0] != pair[1]]
        example = example or next((f"for example: {a!r} is {b!r} once opened" for a, b in pairs), "")
print(f"{PICTURES} pictures: {opened} have other words once opened, {converted} once opened and converted")
print(example)
if not opened or converted:
    sys.exit("changed: an opened JPEG no longer has other words than its path")
END
