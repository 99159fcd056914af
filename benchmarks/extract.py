"""Features by `build` against the plain loop a user would write, and against the models alone, on the same pictures.

    python -m benchmarks.extract --images FOLDER --number 500 --features ocr vgg_grid attributes

For each feature alone: the plain loop is one process, Pillow, then the network in fp32 on batches of eight, NCHW,
inference mode, with all of torch's threads (OCR: one call of Tesseract a picture, one thread), its imports not counted.
Ours is the command `build --features NAME` on a dataset whose pictures lie in the store already, from its start to its
manifest, with a process a core, and its rate while extractors work (decoding included, the start of processes not).
Answers are compared.

For all features together: the models alone (a process a core that loads them and computes on inputs prepared
beforehand, nothing written) against the whole command. What the command takes longer is the overhead of Beam, decoding,
checks and shards.

Wall seconds tell of a quiet machine only; for features alone processor seconds (of all processes) stand beside them.
"""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 8
PER_SHARD = 16
NETWORKS = ("vgg_grid", "attributes")
RANDOM = {
    "vgg_grid": ("features.vgg_grid.weights=random",),
    "attributes": ("features.attributes.weights=random", "features.attributes.head=random"),
    "butd_objects": ("features.butd_objects.weights=random",),
    "ocr": (),
}


@dataclass(frozen=True)
class Cost:
    """Wall and processor seconds."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, work: Callable[[], Any]) -> tuple["Cost", Any]:
        """What `work` takes in this process and its children, and what it returns."""
        wall, cpu = time.monotonic(), _cpu()
        found = work()
        return cls(time.monotonic() - wall, _cpu() - cpu), found


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def pipeline(*words: object) -> None:
    """Run a command of ours; its output shows only where it fails."""
    done = subprocess.run([sys.executable, "-m", "pipeline", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def store(images: Sequence[Path], dataset: Path) -> list[object]:
    """A dataset of the pictures without any feature. Returns the words that name its records."""
    dump = dataset.parent / "dump.jsonl"
    lines = [{"id": i, "text": f"four words and {p.stem} #tag", "image": p.name} for i, p in enumerate(images)]
    dump.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rules = ["clean.min_tokens=0", "clean.unique_texts=false", "clean.near_text=0", "clean.languages=[]"]
    rules += ["clean.near_images=0", "clean.min_hashtag_count=1", f"shards.images={PER_SHARD}"]
    words = ["--dumps", dump, "--images", images[0].parent, "--dataset", dataset, "--set", *rules]
    pipeline("build", *words, "--features", "none")
    return words


def stored(dataset: Path) -> list[Path]:
    """The pictures of a dataset, in the order of its shards."""
    return sorted(dataset.glob("images/*/*.jpg"), key=lambda path: path.stem)


def plain(images: Sequence[Path], feature: str) -> tuple[Cost, list[Any]]:
    """The loop a user would write: cost and answers."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    return Cost.of(lambda: plain_words(images)) if feature == "ocr" else _plain_network(images, feature)


def plain_words(images: Sequence[Path]) -> list[Any]:
    """Words, a call a picture."""
    import pytesseract

    os.environ["OMP_THREAD_LIMIT"] = "1"
    found = []
    for path in images:
        table = pytesseract.image_to_data(str(path), output_type=pytesseract.Output.DICT)
        found.append([word.strip() for word in table["text"] if word.strip()])
    return found


def _plain_network(images: Sequence[Path], feature: str) -> tuple[Cost, list[Any]]:
    import torch
    import torchvision
    from PIL import Image
    from torchvision.transforms import functional as F

    torch.manual_seed(0)
    if feature == "vgg_grid":
        whole = torchvision.models.vgg16(weights=None).eval()
        network = torch.nn.Sequential(whole.features, whole.avgpool)
    else:
        network = torchvision.models.resnet152(weights=None).eval()

    def loop() -> list[Any]:
        found: list[Any] = []
        for i in range(0, len(images), BATCH):
            pixels = [Image.open(path).convert("RGB") for path in images[i : i + BATCH]]
            small = [p.resize((224, 224), Image.Resampling.LANCZOS) for p in pixels]
            batch = torch.stack(
                [F.normalize(F.to_tensor(p), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) for p in small]
            )
            with torch.inference_mode():
                found += list(network(batch).numpy())
        return found

    return Cost.of(loop)


def answers(dataset: Path, feature: str) -> list[Any] | None:
    """Ours, to be compared with the plain loop's; None where its random weights are others."""
    from m3h.schemas.dataset import Dataset

    data = Dataset(dataset)
    if feature == "ocr":
        return [row["words"] for row in data.table("ocr").to_pylist()]
    if feature == "vgg_grid":
        grids = data.tensors("vgg_grid").arrays["features"]
        return [grids[row].T.reshape(512, 7, 7) for row in range(len(grids))]
    return None


def _bare(share: tuple[Sequence[Path], Sequence[str]]) -> tuple[float, float]:
    """Wall seconds of the models of one process for its share of the pictures, and those of loading among them."""
    from m3h.pipeline.config import BuildConfig
    from m3h.pipeline.extractors import extractor_class
    from m3h.pipeline.images.picture import Picture
    from m3h.schemas.config import resolve

    images, features = share
    config = resolve(BuildConfig, None, [one for name in features for one in RANDOM[name]])
    wall = loading = 0.0
    for name in features:
        extractor = extractor_class(name)(getattr(config.features, name))
        loaded, _ = Cost.of(extractor.load)
        size = extractor.batch_size
        inputs = [extractor.prepare(Picture(path)) for path in images]
        inputs += inputs[:1] * (-len(inputs) % size)
        batches = [inputs[i : i + size] for i in range(0, len(inputs), size)]
        computed, _ = Cost.of(lambda: [extractor.extract(batch) for batch in batches])  # noqa: B023 (called at once)
        wall, loading = wall + loaded.wall + computed.wall, loading + loaded.wall
    return wall, loading


def bare(images: Sequence[Path], features: Sequence[str]) -> tuple[float, float]:
    """Wall seconds of the models alone, a process a core, the slowest counted; and those of loading among them."""
    cores = os.cpu_count() or 1
    shares = [(images[i::cores], features) for i in range(cores)]
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        walls, loading = zip(*pool.map(_bare, shares, chunksize=1), strict=True)
    return max(walls), max(loading)


def compare(images: Sequence[Path], dataset: Path, words: Sequence[object], feature: str) -> None:
    """One feature alone, by the plain loop and by us."""
    theirs, loop = plain(images, feature)
    sets = ("--set", *RANDOM[feature]) if RANDOM[feature] else ()
    mine, _ = Cost.of(lambda: pipeline("build", *words, *sets, "--features", feature))
    print(
        f"{feature}: {len(images)} pictures; plain loop {theirs.wall:.1f} s ({theirs.cpu:.1f} s of processors)", end=""
    )
    print(f", build {mine.wall:.1f} s ({mine.cpu:.1f})")
    print(f"{feature}: {theirs.wall / mine.wall:.2f} times as fast, {theirs.cpu / mine.cpu:.2f} by processor seconds")
    (measured,) = json.loads((dataset / ".build-speeds.json").read_text())[feature].values()
    rate, loop_rate = (os.cpu_count() or 1) * measured["images"] / measured["seconds"], len(images) / theirs.wall
    print(f"{feature}: {rate:.1f} pictures a second while extractors work, plain loop {loop_rate:.1f}: ", end="")
    print(f"{rate / loop_rate:.2f} times as fast")
    if (ours := answers(dataset, feature)) is not None:
        same = sum(_same_weights(a, b) for a, b in zip(ours, loop, strict=True))
        print(f"{feature}: {same} of {len(images)} answers equal")


def together(chosen: Sequence[Path], features: Sequence[str], folder: Path) -> tuple[float, float]:
    """All features by the models alone, and by a build: wall seconds of both."""
    folder.mkdir()
    words = store(chosen, folder / "dataset")
    images = stored(folder / "dataset")
    sets = [one for name in features for one in RANDOM[name]]
    alone, loading = bare(images, features)
    whole, _ = Cost.of(lambda: pipeline("build", *words, "--set", *sets, "--features", ",".join(features)))
    print(f"{', '.join(features)} together, {len(images)} pictures: models alone {alone:.1f} s ", end="")
    print(f"({loading:.1f} s to load), build {whole.wall:.1f} s: {100 * (whole.wall / alone - 1):.1f} % more")
    return alone, whole.wall


def _same_weights(a: Any, b: Any) -> bool:
    """Equal words; tensors equal to what float16 keeps."""
    return a == b if isinstance(a, list) else bool(np.allclose(a, b, rtol=2e-3, atol=2e-3))


def main() -> None:
    """Print lines of text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, default=Path("sample/images"))
    parser.add_argument("--number", type=int, default=96)
    parser.add_argument("--features", nargs="+", default=["vgg_grid", "ocr"], choices=sorted(RANDOM))
    parser.add_argument("--only", choices=("alone", "together"))
    parser.add_argument("--rounds", type=int, default=1, help="of all together: machines are not equally fast all day")
    options = parser.parse_args()
    chosen = sorted(options.images.glob("*.jpg"))[: options.number]
    with tempfile.TemporaryDirectory() as folder:
        if options.only != "together":
            base = Path(folder) / "dataset"
            words = store(chosen, base)
            images = stored(base)
            for feature in options.features:
                if feature in (*NETWORKS, "ocr"):
                    compare(images, base, words, feature)
        if options.only != "alone":
            walls = [together(chosen, options.features, Path(folder) / str(i)) for i in range(options.rounds)]
            alone, whole = (statistics.median(column) for column in zip(*walls, strict=True))
            print(f"medians: {alone:.1f} s, {whole:.1f} s, {100 * (whole / alone - 1):.1f} % more")


if __name__ == "__main__":
    main()
