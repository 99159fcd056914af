"""The image gate: a picture decoded and judged as a build does it, against decoding it and shrinking it to 224 x 224.

Pictures of the bundled sample. Ours looks for damage, turns it upright, refuses grey ones, takes a perceptual hash and
local features, from which near copies are found, in a helper process. The peers do none of that. What must be equal:
width and height.
"""

from collections.abc import Mapping

from benchmarks.cases.ocr import pictures
from benchmarks.harness.case import Case, Side, WrongAnswer
from benchmarks.harness.work import Answer, Work

SMALL = (224, 224)


def _bodies(work: Work) -> list[bytes]:
    return [path.read_bytes() for path in pictures(work.number)]


def ours(work: Work) -> Answer:
    """The validator; the start of its helper is not its work."""
    from m3h.pipeline.images.validator import Validator
    from m3h.pipeline.rules import ImageRules

    bodies = _bodies(work)
    with Validator(ImageRules(allow_grey=True)) as validator:
        validator.inspect(bodies[0])
        work.begin()
        found = [validator.inspect(body) for body in bodies]
    return {"sizes": [[picture.width, picture.height] for picture in found]}


def pillow(work: Work) -> Answer:
    """Decoded whole, then bilinear."""
    import io

    from PIL import Image

    bodies, sizes = _bodies(work), []
    work.begin()
    for body in bodies:
        with Image.open(io.BytesIO(body)) as picture:
            picture.convert("RGB").resize(SMALL, Image.Resampling.BILINEAR)
            sizes.append(list(picture.size))
    return {"sizes": sizes}


def opencv(work: Work) -> Answer:
    """Decoded whole, then by areas."""
    import cv2
    import numpy as np

    cv2.setNumThreads(1)
    bodies, sizes = _bodies(work), []
    work.begin()
    for body in bodies:
        pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
        cv2.resize(pixels, SMALL, interpolation=cv2.INTER_AREA)
        sizes.append([pixels.shape[1], pixels.shape[0]])
    return {"sizes": sizes}


def compare(answers: Mapping[str, Answer]) -> str:
    """Sizes must be equal."""
    (first, mine), *others = answers.items()
    for name, theirs in others:
        if theirs["sizes"] != mine["sizes"]:
            raise WrongAnswer(f"{name} sees other sizes than {first}")
    areas = [width * height for width, height in mine["sizes"]]
    return f"all sizes are equal; a picture has {sum(areas) / len(areas) / 1e3:,.0f} thousand pixels on average."


CASE = Case(
    name="gate",
    title="Image gate: decoding and shrinking alone",
    things="pictures",
    number=48,
    sides=(
        Side("m3h", "benchmarks.cases.gate:ours", peer=False),
        Side("Pillow, 224", "benchmarks.cases.gate:pillow"),
        Side("OpenCV, 224", "benchmarks.cases.gate:opencv"),
    ),
    compare=compare,
    bound="local features of each picture: blurs and their extrema (pipeline/cleaning/local_features.py).",
)
