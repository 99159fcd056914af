"""Types of pictures (Figure 4): fits the classifier that `m3h reproduce fig4` uses, and says how good it is.

    python -m benchmarks.picture_types --images FOLDER

FOLDER has the pictures that `picture_types.csv` names by their sha256; their names do not matter. They are pictures of
the Verifying Multimedia Use task of MediaEval 2015 and 2016 (Boididou et al. 2018). All were labelled by eye, once, on
sheets of 25:

* photo: looks as if taken by a camera, whatever was done to it since: filters, frames, montages, a short caption
* screenshot: shows a screen: a web page, an app, television with its captions
* poster: words and pictures that somebody has laid out: flyers, covers, cards with a text, several pictures as one
* drawing: drawn or rendered, without much text

The classifier is a logistic regression on the mean cell of the feature `backbone` as `--features backbone` computes it.
Accuracy is by cross-validation in which near copies (perceptual hashes that differ in at most 14 of 64 bits) are never
on both sides. Writes model/study/assets/picture_types.safetensors.
"""

import argparse
import csv
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from PIL import Image, ImageOps

from m3h.model.study.picture_types import TypeModel, cross_validated, fit, stored_parts
from m3h.pipeline.extractors import extractor_class, make_extractor

LABELS = Path(__file__).with_name("picture_types.csv")
WEIGHTS = Path(__file__).parent.parent / "model" / "study" / "assets" / "picture_types.safetensors"
NEAR, BATCH = 14, 16


def labelled(images: Path) -> list[tuple[Path, str]]:
    """The labelled pictures in a folder, in the order of the labels."""
    with open(LABELS, newline="") as file:
        types = {row["image_sha256"]: row["type"] for row in csv.DictReader(file)}
    found = {sha256(path.read_bytes()).hexdigest(): path for path in sorted(images.rglob("*")) if path.is_file()}
    if missing := [image for image in types if image not in found]:
        raise SystemExit(f"{images}: {len(missing)} of {len(types)} labelled pictures are missing, first {missing[0]}")
    return [(found[image], kind) for image, kind in types.items()]


def groups_of_near_copies(paths: list[Path]) -> np.ndarray:
    """A number for each picture; near copies have the same."""
    hashes = [imagehash.phash(Image.open(path)).hash.ravel() for path in paths]
    bits = np.array(hashes)
    group = np.arange(len(paths))
    for i, j in np.argwhere((bits[:, None] != bits[None]).sum(-1) <= NEAR):
        group[group == group[max(i, j)]] = group[min(i, j)]
    return group


def upright(path: Path) -> Image.Image:
    """A picture of any format, in RGB. A build keeps only JPEG."""
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def main() -> None:
    """Fit, report, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    rows = labelled(parser.parse_args().images)
    paths, types = [path for path, _ in rows], [kind for _, kind in rows]
    backbone: Any = make_extractor("backbone", extractor_class("backbone").Settings())
    backbone.load()
    vectors = []
    for start in range(0, len(paths), BATCH):
        inputs = [backbone.preprocessing(upright(path)) for path in paths[start : start + BATCH]]
        vectors += [row["features"].astype(np.float16).astype(np.float32).mean(0) for row in backbone.extract(inputs)]
    vector_pc = np.stack(vectors)
    found = cross_validated(vector_pc, types, groups_of_near_copies(paths))
    print(f"{found} Labels: {dict(Counter(types))}.")
    model = fit(vector_pc, types)
    TypeModel(model.types, model.weight_tc, model.bias_t, stored_parts(backbone.fingerprint_parts()), found).write(
        WEIGHTS
    )


if __name__ == "__main__":
    main()
