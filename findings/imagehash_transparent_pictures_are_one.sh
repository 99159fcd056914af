#!/usr/bin/env bash
# ImageHash 4.3.2, Pillow 12.3.0, numpy 2.2.6 (Python 3.11), 2026-11-29
#
# Seen: two different stickers, black shapes on a transparent ground, have the same hash in each of four kinds that
# ImageHash has, distance 0; so have a sticker and an all black picture. Only red, green and blue are hashed, the
# transparency is thrown away, and where it is all that draws the shape nothing is left. Laid on white, as every viewer
# shows them, the two are far apart.
#
# Expected: what one sees is what is hashed.
#
# Why it hurts here: near-duplicate pictures are found by such hashes, and logos, captions and stickers are often PNGs
# whose colour planes are one flat colour. All of them fall into one group of "duplicates", of which one is kept.
#
# Output seen (bits that differ between a disc and a bar):
#   average_hash   as they are 0, on white 24
#   phash          as they are 0, on white 29
#   dhash          as they are 0, on white 24
#   whash          as they are 0, on white 36
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check ImageHash==4.3.2 pillow==12.3.0 numpy==2.2.6

env/bin/python - <<'END'
import sys

import imagehash
from PIL import Image, ImageDraw

SIZE = (256, 256)


def sticker(path: str, shape: str, box: tuple[int, int, int, int]) -> Image.Image:
    picture = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    getattr(ImageDraw.Draw(picture), shape)(box, fill=(0, 0, 0, 255))
    picture.save(path)
    return Image.open(path)


def on_white(picture: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", SIZE, "white"), picture).convert("RGB")


disc = sticker("disc.png", "ellipse", (20, 20, 236, 236))
bar = sticker("bar.png", "rectangle", (100, 0, 140, 255))
black = Image.new("RGB", SIZE, "black")
as_they_are, seen = [], []
for kind in (imagehash.average_hash, imagehash.phash, imagehash.dhash, imagehash.whash):
    as_they_are.append(kind(disc) - kind(bar))
    seen.append(kind(on_white(disc)) - kind(on_white(bar)))
    print(f"{kind.__name__:14} as they are {as_they_are[-1]}, on white {seen[-1]}")
if any(as_they_are) or not all(seen) or imagehash.phash(disc) != imagehash.phash(black):
    sys.exit("changed: ImageHash tells two transparent pictures apart")
END
