"""A network that several features of a process read: a batch that all of them are asked for is computed once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import is_
from threading import Condition, Lock, local
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class _Last(local):
    """A thread's last batch, what the network made of it, and how long that took."""

    inputs: Sequence[Any] = ()
    outputs: "Sequence[Tensor]" = ()
    seconds: float = 0.0


class ReadNetwork(nn.Module):
    """A network and its readers: pictures (B, 3, S, S) -> a tuple with what each reader makes of the pass.

    Threads compute at the same time, each a batch of its own.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.readers = nn.ModuleList()
        self._places: dict[str, int] = {}
        self._last = _Last()
        self._passes = 0
        self._ended = Condition()
        self._door = Lock()

    def add(self, name: str, reader: Callable[[nn.Module], nn.Module]) -> int:
        """The place of a reader in the tuple. name: says all that it reads, for readers of one name are one.

        reader: makes of the network a module that is called with the network's output, after the pass.
        """
        with self._door, self._ended:  # a pass that is under way would miss what the reader looks at
            self._ended.wait_for(lambda: not self._passes)
            if name not in self._places:
                made = reader(self.network).eval().to(next(self.network.parameters()).device)
                self.readers.append(made)
                self._places[name] = len(self.readers) - 1  # not before: making a reader may fail
            return self._places[name]

    def forward(self, batch: "Tensor") -> tuple["Tensor", ...]:
        """One pass."""
        output = self.network(batch)
        return tuple(reader(output) for reader in self.readers)

    def outputs(
        self, inputs: Sequence[Any], compute: "Callable[[Sequence[Any]], list[Tensor]]"
    ) -> "tuple[Sequence[Tensor], float]":
        """What `compute` makes of the inputs, with the outputs of all readers: of the last inputs without computing.

        Inputs are this thread's last ones if they are the same objects: features that prepare a picture alike get the
        same.

        Returns:
            The outputs, and the seconds that it did not have to compute.
        """
        last = self._last
        are_last = len(inputs) == len(last.inputs) and all(map(is_, inputs, last.inputs))
        if are_last and len(last.outputs) == len(self.readers):
            return last.outputs, last.seconds
        with self._under_way():
            started = time.monotonic()
            last.outputs, last.inputs = compute(inputs), list(inputs)
            last.seconds = time.monotonic() - started
        return last.outputs, 0.0

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._door, self._ended:
            self._passes += 1
        try:
            yield
        finally:
            with self._ended:
                self._passes -= 1
                self._ended.notify_all()


_networks: WeakValueDictionary[str, ReadNetwork] = WeakValueDictionary()
"""Those that a feature of this process has loaded."""


def read_network(identity: str, load: Callable[[], nn.Module]) -> ReadNetwork:
    """The network of this identity, which is loaded once for all that read it."""
    found = _networks.get(identity)
    if found is None:
        found = _networks[identity] = ReadNetwork(load())
    return found
