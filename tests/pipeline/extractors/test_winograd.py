"""Winograd's way equals the direct convolution."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from m3h.pipeline.extractors import winograd
from m3h.pipeline.extractors.winograd import WinogradConvolution, with_winograd
from tests.pipeline.extractors.butd.tiny import image, tiny


def convolution(channels: int, out: int, dilation: int, seed: int) -> nn.Conv2d:
    made = nn.Conv2d(channels, out, 3, padding=dilation, dilation=dilation)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.weight.normal_(0, (2 / (9 * channels)) ** 0.5, generator=random)
        made.bias.normal_(generator=random)  # type: ignore[union-attr]
    return made


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(0, 3), st.integers(1, 20), st.integers(2, 19), st.integers(2, 19)),
    st.integers(1, 9), st.sampled_from([1, 2]), st.booleans(), st.booleans(), st.integers(1, 5000),
    st.integers(0, 2**31 - 1),
)  # fmt: skip
def test_it_equals_the_direct_convolution_for_any_size_of_parts(
    shape: tuple[int, ...], out: int, dilation: int, relu: bool, pool: bool, at_once: int, seed: int
) -> None:
    direct = convolution(shape[1], out, dilation, seed)
    pool &= dilation == 1
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    before, winograd.PART_FACTORS = winograd.PART_FACTORS, at_once
    try:
        with torch.inference_mode():
            found = WinogradConvolution(direct, relu, pool)(x.contiguous(memory_format=torch.channels_last))
            expected = direct.double()(x.double())
    finally:
        winograd.PART_FACTORS = before
    expected = F.relu(expected) if relu else expected
    expected = F.max_pool2d(expected, 2) if pool else expected
    assert found.is_contiguous(memory_format=torch.channels_last)
    largest = max([1.0, *expected.abs().flatten(1).amax(dim=1).tolist()]) if expected.numel() else 1.0
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4 * largest)


def test_one_cell_contributes_to_nine_results() -> None:
    dilated = nn.Conv2d(1, 1, 3, padding=2, dilation=2, bias=False)
    with torch.no_grad():
        dilated.weight[:] = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    x = torch.zeros(1, 1, 14, 14)
    x[0, 0, 5, 12] = 1.0
    with torch.inference_mode():
        y = WinogradConvolution(dilated)(x)[0, 0].round()
    seen = {tuple(place): float(y[tuple(place)]) for place in y.nonzero().tolist()}
    assert seen == {(3, 10): 9, (3, 12): 8, (5, 10): 6, (5, 12): 5, (7, 10): 3, (7, 12): 2}  # column 14 is outside


def test_a_sequence_keeps_its_first_convolution_and_its_values() -> None:
    layers = nn.Sequential(
        convolution(3, 4, 1, 0), nn.ReLU(), convolution(4, 5, 1, 1), nn.ReLU(), nn.MaxPool2d(2, 2),
        convolution(5, 6, 1, 2),
    )  # fmt: skip
    quick = with_winograd(layers)
    assert [type(layer) for layer in quick] == [nn.Conv2d, nn.ReLU, WinogradConvolution, WinogradConvolution]
    x = torch.randn(2, 3, 9, 14, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(quick(x), layers(x), rtol=1e-4, atol=1e-4)


def test_a_detector_with_winograd_has_the_same_outputs() -> None:
    network = tiny().fold().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        res4 = network.features(image())
        boxes, _ = network.proposals(res4, (64, 96))
        before, after = network.heads(res4, boxes), network.use_winograd().heads(res4, boxes)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
