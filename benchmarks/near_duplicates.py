"""Near copies planted among other posts, and how many of them end in one group; time and memory of many texts.

    python -m benchmarks.near_duplicates planted --data FOLDER     200 pairs among 1,000 other posts, through `build`
    python -m benchmarks.near_duplicates texts --data FOLDER       100,000 texts, of which 5,000 are one spam text

FOLDER holds images_social/images, captions_coco/images and cmkp. 100 pairs have one text edited (a word replaced, a
letter mistyped, a word added; always another link), 100 have one picture edited (re-encoded, rescaled, pasted over,
cropped); everything else about them is different. Other pictures are photographs, as far as there are any, and drawn.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from tests.pipeline.edits import PICTURE_EDITS, caption_edits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PAIRS = 100
OTHERS = 1000


@dataclass(frozen=True)
class Found:
    """recall: share of pairs in one group, by kind of edit. false_alarms: share of other posts in a group with any."""

    recall: Mapping[str, float]
    false_alarms: float

    @property
    def overall(self) -> float:
        """Share of all pairs."""
        return sum(self.recall.values()) / len(self.recall)


def real_texts(data: Path) -> list[str]:
    """Distinct texts of the released dataset, words only."""
    lines = [
        line for split in ("valid", "test") for line in (data / "cmkp" / f"{split}_src.txt").open(encoding="utf-8")
    ]
    words = ([w for w in line.split("<sep>")[0].split() if w.isalpha()] for line in lines)
    return list(dict.fromkeys(" ".join(some) for some in words if len(some) >= 6))


def drawn(seed: int) -> Image.Image:
    """A picture like no other: sixty discs and boxes of random colours."""
    rng = random.Random(seed)
    picture = Image.new("RGB", (400, 300), "grey")
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y, w, h = rng.randrange(400), rng.randrange(300), rng.randrange(8, 70), rng.randrange(8, 70)
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x, y, x + w, y + h), fill=(rng.randrange(256), rng.randrange(256), rng.randrange(256)))
    return picture


def photographs(data: Path) -> Iterator[Image.Image]:
    """Colour photographs; of copies that are among them by nature, one."""
    from m3h.pipeline.cleaning.local_features import agreeing, local_features, read_features

    chosen: list[NDArray[np.void]] = []
    folders = (data / "images_social" / "images", data / "captions_coco" / "images")
    for path in [path for folder in folders for path in sorted(folder.glob("*.jp*g"))]:
        picture = Image.open(path).convert("RGB")
        features = read_features(local_features(picture))
        if not any(agreeing(features, other, 5) for other in chosen):
            chosen.append(features)
            yield picture


def plant(data: Path, folder: Path, seed: int = 0) -> dict[str, str]:
    """Write dump.jsonl and pictures. id -> what was planted there: `KIND NUMBER`, the same for both of a pair."""
    rng = random.Random(seed)
    texts = iter(rng.sample(real_texts(data), 3 * PAIRS + OTHERS))
    originals = list(photographs(data))
    rng.shuffle(originals)
    pictures = iter(originals)
    posts: list[tuple[str, str, Image.Image]] = []
    number = iter(range(10**6))

    def picture() -> Image.Image:
        return next(pictures, None) or drawn(next(number))

    for i in range(PAIRS):
        kind = list(PICTURE_EDITS)[i % len(PICTURE_EDITS)]
        original = picture()
        posts.append((f"{kind} {i}", next(texts), original))
        posts.append((f"{kind} {i}", next(texts), PICTURE_EDITS[kind](original, rng)))
    captions = [next(texts) for _ in range(PAIRS)]
    for i, (text, edited) in enumerate(zip(captions, caption_edits(captions), strict=True)):
        kind = ("word replaced", "letter mistyped", "word added")[i % 3]
        posts += [(f"{kind} {i}", text, drawn(next(number))), (f"{kind} {i}", edited, drawn(next(number)))]
    posts += [("", next(texts), picture()) for _ in range(OTHERS)]
    rng.shuffle(posts)
    (folder / "images").mkdir()
    lines = []
    for i, (_, text, image) in enumerate(posts):
        image.save(folder / "images" / f"{i}.jpg", quality=90)
        text = f"{text} https://t.co/{i:010d} #planted"
        lines.append(json.dumps({"id": i + 1, "text": text, "image": f"{i}.jpg", "lang": "en"}) + "\n")
    (folder / "dump.jsonl").write_text("".join(lines))
    return {str(i + 1): name for i, (name, _, _) in enumerate(posts)}


def measure(data: Path, folder: Path, seed: int = 0) -> Found:
    """Plant, build, and look at the groups."""
    from m3h.pipeline.dataset.publish import columns

    planted = plant(data, folder, seed)
    words = ["build", "--dumps", folder / "dump.jsonl", "--images", folder / "images", "--dataset", folder / "dataset"]
    words += ["--features", "none", "--set", "clean.min_tokens=0", "image.allow_grey=true", "--workers", "1"]
    subprocess.run([sys.executable, "-m", "pipeline", *map(str, words)], check=True, capture_output=True)
    group_of = dict(columns(folder / "dataset", "posts", ("post_id", "group")))
    sizes = Counter(group_of.values())
    pairs: dict[str, set[str]] = {}
    kinds: dict[str, list[bool]] = {}
    for post, name in planted.items():
        if name:
            pairs.setdefault(name, set()).add(group_of[post])
    for name, groups in pairs.items():
        kinds.setdefault(name.rpartition(" ")[0], []).append(len(groups) == 1)
    others = [post for post, name in planted.items() if not name]
    accused = sum(sizes[group_of[post]] > 1 for post in others)
    return Found({kind: sum(hits) / len(hits) for kind, hits in kinds.items()}, accused / len(others))


def many_texts(data: Path, number: int, spam: int) -> tuple[float, float, int]:
    """Processor seconds, added peak memory in bytes a text, and links found, of the near-text step in one process."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
    from apache_beam.transforms.combiners import Count

    from m3h.pipeline.cleaning.minhash import TextLikeness, text_name
    from m3h.pipeline.rules import CleanRules
    from m3h.pipeline.stages.near_duplicates import NearPairs

    rng = random.Random(0)
    halves = [text.split() for text in real_texts(data)]
    texts = {f"{' '.join(rng.choice(halves)[:9])} {' '.join(rng.choice(halves)[-9:])}" for _ in range(number - spam)}
    texts |= {f"win a brand new phone today just follow and share this post with friends {i:05d}" for i in range(spam)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        with beam.Pipeline(runner=FnApiRunner()) as root:
            items = root | beam.Create(sorted(texts)) | beam.Map(lambda text: (text_name(text), text))
            found = items | NearPairs(TextLikeness(CleanRules().near_text)) | Count.Globally()
            found | beam.Map(lambda count: Path(folder, "links").write_text(str(count)))
        links = int(Path(folder, "links").read_text())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return time.process_time() - started, (peak - before) * 1024 / len(texts), links


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("planted", "texts"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--spam", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.what == "texts":
        seconds, memory, links = many_texts(options.data, options.number, options.spam)
        print(f"{options.number} texts, {options.spam} of them spam: {links} links")
        print(f"{seconds:.0f} s of one processor, {memory:.0f} bytes of memory a text")
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.data, Path(folder), options.seed)
    for kind, share in found.recall.items():
        print(f"{kind}: {share:.1%} found")
    print(f"false alarms: {found.false_alarms:.2%} of {OTHERS} other posts")


if __name__ == "__main__":
    main()
