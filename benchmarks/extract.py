"""Features by `build` against the plain loop a user would write, on the same pictures, with the answers compared.

    python -m benchmarks.extract --images sample/images --number 96

The plain loop is one process: Pillow, then torchvision's VGG-16 on batches of eight with all of torch's threads, then
pytesseract picture by picture with Tesseract's own threads. `build` is timed as a user runs it, its start and the
cleaning included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def plain(images: list[Path], feature: str) -> tuple[float, dict[str, object]]:
    """Seconds, and the answers by picture name."""
    import pytesseract
    import torch
    from PIL import Image
    from torchvision.models import vgg16
    from torchvision.transforms import functional as F

    started = time.monotonic()
    found: dict[str, object] = {}
    if feature == "ocr":
        for path in images:
            found[path.name] = pytesseract.image_to_string(Image.open(path)).split()
        return time.monotonic() - started, found
    torch.manual_seed(0)
    network = vgg16(weights=None).eval()
    for i in range(0, len(images), 8):
        paths = images[i : i + 8]
        pixels = [Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.LANCZOS) for path in paths]
        batch = torch.stack([F.normalize(F.to_tensor(p), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) for p in pixels])
        with torch.inference_mode():
            grids = network.avgpool(network.features(batch)).flatten(2).mT.numpy()
        found |= dict(zip((path.name for path in paths), grids, strict=True))
    return time.monotonic() - started, found


def ours(images: list[Path], feature: str, folder: Path) -> tuple[float, dict[str, object]]:
    """Seconds of the whole build, and the answers by picture name."""
    from schemas.dataset import Dataset

    dump = folder / "dump.jsonl"
    lines = [{"id": i, "text": f"four words and {p.stem} #tag", "image": p.name} for i, p in enumerate(images)]
    dump.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rules = ["clean.min_tokens=0", "clean.unique_texts=false", "clean.languages=[]", "features.vgg_grid.weights=random"]
    started = time.monotonic()
    words = ["build", "--dumps", dump, "--images", images[0].parent, "--dataset", folder / "dataset"]
    words += ["--features", feature, "--set", *rules, "shards.images=8", "clean.min_hashtag_count=1"]
    command = [sys.executable, "-m", "pipeline", *map(str, words)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    dataset = Dataset(folder / "dataset")
    name_of = {row["image_sha256"]: row["path"] for row in dataset.images.to_pylist()}
    if feature == "ocr":
        return seconds, {name_of[row["image_sha256"]]: row["words"] for row in dataset.table("ocr").to_pylist()}
    grids = dataset.tensors("vgg_grid")
    return seconds, {name_of[key]: grids.arrays["features"][row] for key, row in grids.rows.items()}


def same(feature: str, a: object, b: object) -> bool:
    """Equal words; grids equal to what float16 keeps."""
    return a == b if feature == "ocr" else bool(np.allclose(np.asarray(a), np.asarray(b), rtol=2e-3, atol=2e-3))


def whole(path: Path) -> bool:
    """Whether a build would keep the picture."""
    from pipeline.gate import gate_of
    from pipeline.rules import ImageRules
    from schemas.errors import ImageFault

    try:
        gate_of(ImageRules()).inspect(path.read_bytes())
    except ImageFault:
        return False
    return True


def main() -> None:
    """Print a line a feature."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, default=Path("sample/images"))
    parser.add_argument("--number", type=int, default=96)
    options = parser.parse_args()
    images = [path for path in sorted(options.images.glob("*.jpg")) if whole(path)][: options.number]
    for feature in ("vgg_grid", "ocr"):
        loop_seconds, theirs = plain(images, feature)
        with tempfile.TemporaryDirectory() as folder:
            build_seconds, mine = ours(images, feature, Path(folder))
        agree = sum(same(feature, row, theirs[name]) for name, row in mine.items())
        ratio = loop_seconds / build_seconds
        print(f"{feature}: {len(images)} pictures; plain loop {loop_seconds:.1f} s, build {build_seconds:.1f} s")
        print(f"{feature}: {ratio:.2f} times as fast")
        print(f"{feature}: {agree} of {len(images)} answers equal")


if __name__ == "__main__":
    main()
