"""butd_objects against the plain loop a user would write, on the same pictures and random weights, answers compared.

    python -m benchmarks.butd --images sample/images --number 3 --rounds 2

Both use one thread and fp32, from the decoded picture to its 36 objects. The plain loop has the same graph with its
normalisations apart, channel after channel (NCHW), all regions at once, torchvision's suppression class by class.
Rounds alternate; what counts is the processor's time, the least of all rounds, since other programs may run beside it.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.ops import nms, roi_pool

from m3h.pipeline.extractors.butd.boxes import CAFFE
from m3h.pipeline.extractors.butd.network import BottomUpAttention, randomise
from m3h.pipeline.extractors.butd.picture import caffe_input
from m3h.pipeline.extractors.butd_objects import ButdObjects, ButdSettings
from m3h.pipeline.images.picture import Picture


def plain(network: BottomUpAttention, pixels: Image.Image) -> dict[str, np.ndarray]:
    """The loop: boxes and features of 36 objects."""
    given = caffe_input(pixels, 600, 1000)
    scale = given.scale_xy[0]
    with torch.inference_mode():
        res4 = network.features(torch.from_numpy(given.image_chw)[None])
        boxes, _ = network.proposals(res4, given.image_chw.shape[1:], scale)
        cells = roi_pool(res4, [boxes], (14, 14), 1 / 16)
        regions = network.roi_heads.predict(network.roi_heads(cells))
        scores = regions.classes.softmax(dim=1)[:, :-1]
        boxes = boxes / scale
        confidence = torch.zeros(len(boxes))
        wider = boxes + torch.tensor([0.0, 0.0, 1.0, 1.0])
        for c in range(scores.shape[1]):
            kept = nms(wider, scores[:, c], 0.3)
            confidence[kept] = torch.maximum(confidence[kept], scores[kept, c])
        best = confidence.argsort(descending=True, stable=True)[:36]
    return {"boxes": boxes[best].numpy(), "features": regions.pooled_nc[best].numpy()}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of this process's processor time, and the answer."""
    started = time.process_time()
    answer = work()
    return time.process_time() - started, answer


def main() -> None:
    """Print a line a picture, and the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=Path, default=Path("sample/images"))
    parser.add_argument("--number", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=ButdSettings().roi_batch_size)
    options = parser.parse_args()
    extractor = ButdObjects(ButdSettings(weights="random", device="cpu", roi_batch_size=options.at_once))
    extractor.load()
    network = randomise(BottomUpAttention(convention=CAFFE), 0).eval()
    totals = np.zeros(2)
    for path in sorted(options.images.glob("*.jpg"))[: options.number]:
        picture = Picture(path)
        picture.pixels.load()
        loop, ours = [], []
        for _ in range(options.rounds):
            loop.append(timed(lambda: plain(network, picture.pixels)))  # noqa: B023
            ours.append(timed(lambda: extractor.extract([extractor.prepare(picture)])[0]))  # noqa: B023
        seconds = np.array([min(s for s, _ in loop), min(s for s, _ in ours)])
        theirs, mine = loop[0][1], ours[0][1]
        pairs = np.argwhere(np.abs(theirs["boxes"][:, None] - mine["boxes"]).max(axis=2) < 0.01)
        difference = np.abs(theirs["features"][pairs[:, 0]] - mine["features"][pairs[:, 1]]).max()
        difference /= np.abs(theirs["features"]).max()
        print(
            f"{path.name}: loop {seconds[0]:.1f} s, ours {seconds[1]:.1f} s; {len(pairs)} of 36 boxes are the same, "
            f"their features within {difference:.0e} of the largest",
            flush=True,
        )
        totals += seconds
    print(f"{totals[0] / totals[1]:.2f} times as fast")


if __name__ == "__main__":
    main()
