"""Drawn scenes with captions: what a head for attributes must be able to learn."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

COLOURS = {
    "red": (220, 30, 30),
    "green": (20, 150, 60),
    "blue": (30, 60, 220),
    "yellow": (240, 220, 40),
    "white": (245, 245, 245),
    "black": (15, 15, 15),
    "purple": (130, 30, 160),
    "orange": (250, 140, 20),
}
SHAPES = ("circle", "square", "triangle")
SIDE = 128


@dataclass(frozen=True)
class Scene:
    """A shape of one colour on a ground of another."""

    shape: str
    colour: str
    ground: str

    @property
    def words(self) -> set[str]:
        return {self.shape, self.colour, self.ground}

    @property
    def captions(self) -> list[str]:
        return [
            f"A {self.colour} {self.shape} is drawn on {self.ground}.",
            f"there is a {self.shape} and it is {self.colour}",
        ]

    def draw(self, path: Path, random: Random) -> None:
        image = Image.new("RGB", (SIDE, SIDE), COLOURS[self.ground])
        radius = random.randint(28, 44)
        x, y = (random.randint(radius, SIDE - radius) for _ in range(2))
        brush = ImageDraw.Draw(image)
        box = (x - radius, y - radius, x + radius, y + radius)
        if self.shape == "circle":
            brush.ellipse(box, fill=COLOURS[self.colour])
        elif self.shape == "square":
            brush.rectangle(box, fill=COLOURS[self.colour])
        else:
            brush.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], COLOURS[self.colour])
        image.save(path, quality=90)


def draw_scenes(folder: Path, number: int, seed: int) -> list[Scene]:
    """`0.jpg`, `1.jpg` …; red and circles are the most frequent."""
    random = Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    scenes = []
    for i in range(number):
        ground, colour = random.sample(sorted(COLOURS), 2)
        scenes.append(Scene(random.choice((*SHAPES, "circle")), colour, ground))
        scenes[-1].draw(folder / f"{i}.jpg", random)
    return scenes


def write_captions(path: Path, captions: Sequence[Sequence[str]]) -> Path:
    """COCO's layout, for pictures `0.jpg`, `1.jpg` …"""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": SIDE} for i in range(len(captions))]
    said = [(i, text) for i, texts in enumerate(captions) for text in texts]
    annotations = [{"id": k, "image_id": i, "caption": text} for k, (i, text) in enumerate(said)]
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations}))
    return path
