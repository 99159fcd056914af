"""Weights over a picture: the right place lights up, whichever way the picture lies."""

import io

import numpy as np
import pytest
from PIL import Image

from m3h.model.study.overlay import BLANK, LONGEST, WHOLE, covered, grid_side, open_picture, overlay, overlay_boxes
from m3h.schemas.errors import ImageFault


def picture(width: int, height: int, orientation: int = 1) -> bytes:
    """A grey JPEG."""
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height), (120, 120, 120)).save(data, "JPEG", exif=exif)
    return data.getvalue()


def warmth(png: bytes) -> np.ndarray:
    """(h, w) red less blue: large where the weight is large, negative where there is none."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int32)
    return pixels[..., 0] - pixels[..., 2]


def one_cell(row: int, column: int) -> np.ndarray:
    weights = np.zeros((7, 7))
    weights[row, column] = 1
    return weights


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 6), (6, 0), (2, 4)])
@pytest.mark.parametrize("data", [picture(70, 140), None])
def test_a_weight_at_one_cell_lights_that_part_of_the_picture_and_no_other(
    data: bytes | None, row: int, column: int
) -> None:
    warm = warmth(overlay(data, one_cell(row, column)))
    cells = warm.reshape(7, warm.shape[0] // 7, 7, -1).mean((1, 3))
    assert np.unravel_index(cells.argmax(), cells.shape) == (row, column)
    rows, columns = np.indices(cells.shape)
    assert cells[row, column] > 0
    assert cells[np.maximum(abs(rows - row), abs(columns - column)) > 1].max() < 0  # between centres it fades


def test_only_ratios_count_and_no_weight_colours_nothing() -> None:
    data, weights = picture(30, 30), np.arange(49.0).reshape(7, 7)
    assert overlay(data, weights) == overlay(data, weights / 1024)
    assert warmth(overlay(data, np.ones((7, 7)))).min() > 0
    assert warmth(overlay(data, np.zeros((7, 7)))).max() < 0


def test_a_grid_is_of_the_upright_picture() -> None:
    """Orientation 6: the camera was turned, so that 90 x 40 stored pixels are 40 x 90 upright ones."""
    warm = warmth(overlay(picture(90, 40, orientation=6), one_cell(6, 0)))
    assert warm.shape == (90, 40)
    assert np.unravel_index(warm.argmax(), warm.shape)[0] > 70
    assert open_picture(picture(2000, 1000)).size == (LONGEST, LONGEST // 2)


@pytest.mark.parametrize("data", [picture(100, 50), None])
def test_a_box_lights_its_own_place_and_of_two_the_larger_weight_counts(data: bytes | None) -> None:
    boxes = np.array([[0, 0, 100, 100], [100, 0, 200, 100], [150, 0, 200, 50]])
    png = overlay_boxes(data, boxes, np.array([0.2, 0.3, 0.5]), size=(200, 100))
    light = np.asarray(Image.open(io.BytesIO(png)).convert("L"), np.int32)  # grows with the weight
    height, width = light.shape
    assert (width, height) == ((100, 50) if data else (BLANK, BLANK // 2))
    left, lower, corner = (
        np.median(light[rows, columns])
        for rows, columns in (
            (slice(height // 2 + 2, -2), slice(2, width // 2 - 2)),
            (slice(height // 2 + 2, -2), slice(width // 2 + 2, -2)),
            (slice(2, height // 2 - 2), slice(width * 7 // 8, -2)),
        )
    )
    assert left < lower < corner


def test_what_is_no_picture_and_what_are_no_weights() -> None:
    with pytest.raises(ImageFault, match="undecodable"):
        overlay(b"GIF89a", one_cell(0, 0))
    for weights in (np.full((7, 7), np.nan), -one_cell(0, 0), np.ones(49), np.ones((0, 0))):
        with pytest.raises(ValueError, match="expected finite weights"):
            overlay(None, weights)
    with pytest.raises(ValueError, match="expected 1 boxes"):
        overlay_boxes(None, np.zeros((2, 4)), np.ones(1), size=(9, 9))


def test_which_numbers_of_cells_are_a_square_grid() -> None:
    assert [grid_side(n) for n in (1, 4, 36, 48, 49)] == [None, 2, 6, None, 7]


CROPPED = {"input": {"resize": 256, "side": 224, "squash": False}}


@pytest.mark.parametrize(
    ("parts", "size", "expected"),
    [
        (CROPPED, (256, 256), (1 / 16, 1 / 16, 15 / 16, 15 / 16)),
        (CROPPED, (512, 256), (9 / 32, 1 / 16, 23 / 32, 15 / 16)),
        ({"input": {"resize": 224, "side": 224, "squash": True}}, (512, 256), WHOLE),
        ({"resize": [224, 224, "lanczos"]}, (512, 256), WHOLE),
        ({"input": "a word of another package"}, (9, 9), WHOLE),
    ],
)
def test_a_network_that_cuts_out_the_middle_saw_that_square_alone(
    parts: dict[str, object], size: tuple[int, int], expected: tuple[float, ...]
) -> None:
    assert covered(parts, size) == pytest.approx(expected)


def test_outside_of_what_the_network_saw_the_picture_stays_grey() -> None:
    warm = warmth(overlay(picture(200, 100), np.ones((7, 7)), (0.25, 0.0, 0.75, 1.0)))
    assert warm[:, 50:150].min() > 0
    assert not warm[:, :50].any()
    assert not warm[:, 150:].any()


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000), (900, 2), (1, 1)])
def test_a_picture_that_is_a_line_is_drawn_too(size: tuple[int, int]) -> None:
    data = picture(*size)
    shown = open_picture(data).size
    warm = warmth(overlay(data, np.ones((7, 7)), covered(CROPPED, shown)))
    assert warm.shape == shown[::-1]
    assert 0 < (warm > 0).sum() <= max(1, min(shown)) ** 2
