"""Winograd's way equals the direct convolution."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pipeline.extractors.butd.network import ConvNorm
from pipeline.extractors.butd.winograd import DilatedConvolution, sides
from tests.pipeline.butd.tiny import image, tiny


def folded(channels: int, out: int, seed: int) -> ConvNorm:
    convolution = ConvNorm(channels, out, 3, dilation=2)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        convolution.weight.normal_(0, (2 / (9 * channels)) ** 0.5, generator=random)
        convolution.norm.bias.normal_(generator=random)
    convolution.fold()
    return convolution


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 3), st.integers(1, 20), st.integers(1, 9), st.integers(0, 2**31 - 1))
def test_it_equals_the_direct_convolution(n: int, channels: int, out: int, seed: int) -> None:
    convolution = folded(channels, out, seed)
    x = torch.randn(n, channels, 14, 14, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        direct = F.conv2d(x.double(), convolution.weight.double(), convolution.bias.double(), padding=2, dilation=2)
        found = DilatedConvolution(convolution)(x.contiguous(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)
    largest = max(1.0, *direct.abs().flatten(1).amax(dim=1).tolist(), 0.0)
    torch.testing.assert_close(found.double(), direct, rtol=0, atol=1e-4 * largest)


def test_one_cell_is_seen_at_its_nine_places() -> None:
    convolution = ConvNorm(1, 1, 3, dilation=2)
    with torch.no_grad():
        convolution.weight[:] = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    convolution.fold()
    x = torch.zeros(1, 1, 14, 14)
    x[0, 0, 5, 12] = 1.0
    with torch.inference_mode():
        y = DilatedConvolution(convolution)(x)[0, 0].round()
    seen = {tuple(place): float(y[tuple(place)]) for place in y.nonzero().tolist()}
    assert seen == {(3, 10): 9, (3, 12): 8, (5, 10): 6, (5, 12): 5, (7, 10): 3, (7, 12): 2}  # column 14 is outside


def test_a_side_goes_into_twenty_four_places_parity_by_parity() -> None:
    there, back = sides()
    assert (there.shape, back.shape) == ((24, 14), (14, 24))
    even = there.view(6, 2, 2, 14)[:, 0]
    assert not even[..., 1::2].any()
    assert not there.view(6, 2, 2, 14)[:, 1][..., ::2].any()


def test_a_quickened_network_says_the_same() -> None:
    network = tiny().fold().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.inference_mode():
        res4 = network.features(image())
        boxes, _ = network.proposals(res4, (64, 96))
        before, after = network.heads(res4, boxes), network.quicken().heads(res4, boxes)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
