"""A network that several features read: threads, and what fails to load."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from torch import nn

from m3h.pipeline.extractors.backbones.layers import Tap, Tapped
from m3h.pipeline.extractors.backbones.one_pass import ReadNetwork

BATCH = torch.ones(2, 3)


class Meanwhile(nn.Module):
    """A linear layer. While it computes, another thread does something, and is given time for it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.another: Thread | None = None
        self.asked: Callable[[], Any] = lambda: None

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layer(batch)
        if self.another is None:
            self.another = Thread(target=self.asked)
            self.another.start()
            self.another.join(0.5)
        return output


def tapped(network: nn.Module) -> nn.Module:
    return Tapped(network, Tap("layer", before=False, cells=1, width=4), pooled=False)


def test_a_thread_that_loads_a_feature_does_not_disturb_the_pass_of_another() -> None:
    network = Meanwhile()
    read = ReadNetwork(network)
    read.add("output", lambda _: nn.Identity())
    network.asked = lambda: read.add("layer", tapped)

    def outputs() -> Sequence[torch.Tensor]:
        return read.outputs([BATCH], lambda _: list(read(BATCH)))[0]

    assert len(outputs()) == 1
    assert network.another is not None
    network.another.join()
    output, layer = outputs()
    torch.testing.assert_close(layer[:, 0], output)


def test_who_gets_a_pass_of_another_learns_what_it_was_spared() -> None:
    read = ReadNetwork(nn.Linear(3, 4))
    read.add("output", lambda _: nn.Identity())
    _, first = read.outputs([BATCH], lambda _: list(read(BATCH)))
    _, second = read.outputs([BATCH], lambda _: list(read(BATCH)))
    assert first == 0 < second


def test_a_reader_that_failed_to_load_is_made_again() -> None:
    def fails(_: nn.Module) -> nn.Module:
        raise MemoryError

    read = ReadNetwork(nn.Linear(3, 4))
    assert read.add("output", lambda _: nn.Identity()) == 0
    with pytest.raises(MemoryError):
        read.add("scaled", fails)
    assert read.add("other", lambda _: nn.Tanh()) == 1
    assert read.add("scaled", lambda _: nn.ReLU()) == 2
    assert len(read(BATCH)) == 3


def test_a_reader_computes_as_the_network_does() -> None:
    """No dropout, and where the network is."""
    read = ReadNetwork(nn.Linear(3, 4, device="meta"))
    read.add("scaled", lambda _: nn.Sequential(nn.Dropout(), nn.Linear(4, 2)))
    assert not read.readers[0].training
    assert {parameter.device.type for parameter in read.readers[0].parameters()} == {"meta"}


class Both(nn.Module):
    """A linear layer whose passes go on when two threads have come so far."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.both = Barrier(2, timeout=20)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.layer(batch)
        self.both.wait()
        return output


def test_threads_compute_at_the_same_time_and_each_reads_its_own_pass() -> None:
    network = Both()
    read = ReadNetwork(network)
    read.add("layer", tapped)

    def outputs(inputs: list[torch.Tensor]) -> torch.Tensor:
        read.outputs(inputs, lambda batch: list(read(batch[0])))
        (cells,), _ = read.outputs(inputs, fails)  # the thread's last batch
        return cells[:, 0]

    def fails(_: object) -> list[torch.Tensor]:
        raise AssertionError("computed twice")

    batches = [torch.full((2, 3), 1.0), torch.full((2, 3), 2.0)]
    with ThreadPoolExecutor(2) as pool:
        for batch, found in zip(batches, pool.map(outputs, [[batch] for batch in batches]), strict=True):
            torch.testing.assert_close(found, network.layer(batch))
