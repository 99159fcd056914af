"""A network that several features of a process read: a batch that all of them are asked for is computed once."""

from collections.abc import Callable, Sequence
from operator import is_
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from m3h.pipeline.extractors.computing.engine import Pass


class ReadNetwork(nn.Module):
    """A network and its readers: pictures (B, 3, S, S) -> a tuple with what each reader makes of the pass."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.readers = nn.ModuleList()
        self._places: dict[str, int] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Tensor] = []
        self._newest: list[Pass] = []  # in a list, because it may be this module, which must not be a part of itself
        self._lock = Lock()

    def add(self, name: str, reader: Callable[[nn.Module], nn.Module]) -> int:
        """The place of a reader in the tuple. name: says all that it reads, for readers of one name are one.

        reader: makes of the network a module that is called with the network's output, after the pass.
        """
        if name not in self._places:
            self._places[name] = len(self.readers)
            self.readers.append(reader(self.network))
        return self._places[name]

    def renewed(self, newest: "Pass") -> "Pass":
        """The pass of all readers so far, for each feature that reads: it is the newest one from now on.

        newest: what an engine made of this module since the last reader came; a graph has no reader that came later.
        """
        self._newest = [newest]
        return lambda batch: self._newest[0](batch)

    def forward(self, batch: "Tensor") -> tuple["Tensor", ...]:
        """One pass."""
        output = self.network(batch)
        return tuple(reader(output) for reader in self.readers)

    def outputs(self, inputs: Sequence[Any], compute: "Callable[[Sequence[Any]], list[Tensor]]") -> "list[Tensor]":
        """What `compute` makes of the inputs, with the outputs of all readers: of the last inputs without computing.

        Inputs are the last ones if they are the same objects: features that prepare a picture alike get the same.
        """
        with self._lock:
            are_last = len(inputs) == len(self._inputs) and all(map(is_, inputs, self._inputs))
            if not are_last or len(self._outputs) != len(self.readers):
                self._outputs, self._inputs = compute(inputs), list(inputs)
            return self._outputs


_networks: WeakValueDictionary[str, ReadNetwork] = WeakValueDictionary()
"""Those that a feature of this process has loaded."""


def read_network(identity: str, load: Callable[[], nn.Module]) -> ReadNetwork:
    """The network of this identity, which is loaded once for all that read it."""
    found = _networks.get(identity)
    if found is None:
        found = _networks[identity] = ReadNetwork(load())
    return found
