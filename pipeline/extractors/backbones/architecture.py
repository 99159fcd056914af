"""A network by its name, `timm:resnet50`: what its library says about it. Its values are not made to find that out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from m3h.pipeline.extractors import weights as weight_files
from m3h.schemas.errors import UsageError

if TYPE_CHECKING:
    import torch

    from m3h.pipeline.extractors.backbones.preprocessing import Preprocessing


class Architecture(ABC):
    """One network of one library.

    name: the library's name of it.
    module: what the library is imported by; package: what it is installed by; extra: m3h's extra with it.
    classifies: whether a network's output are logits of classes, rather than a vector.
    """

    classifies: ClassVar[bool] = True
    module: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = name
        self.require()

    @classmethod
    def require(cls) -> None:
        """UsageError where the library is not installed."""
        if find_spec(cls.module) is None:
            raise UsageError(f"{cls.package} is not installed here. Install it: pip install 'm3h[{cls.extra}]'")

    @property
    def identity(self) -> str:
        """Its name for a fingerprint, without the library's version: weights that fit compute the same."""
        return f"{self.module} {self.name}"

    @abstractmethod
    def build(self) -> "torch.nn.Module":
        """The network with torch's own random values, on torch's current device. UsageError for an unknown name."""

    def empty(self) -> "torch.nn.Module":
        """The network without values, on the device `meta`, to look at its shapes."""
        import torch

        try:
            with torch.device("meta"):
                return self.build().eval()
        except RuntimeError:  # some networks compute with values of their own while they are built
            return self.build().to("meta").eval()

    @abstractmethod
    def preprocessing(self) -> "Preprocessing":
        """How its authors make its input."""

    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The names of its outputs. UsageError where they are not known."""

    def weights_identity(self, weights: str, seed: int) -> str:
        """The identity of weights, without loading them. UsageError where there are none."""
        if weights == weight_files.DEFAULT:
            raise UsageError(self.no_default())
        found = weight_files.identity(weights, seed, "")
        return f"{found} {self.package} {version(self.package)}" if weights == weight_files.RANDOM else found

    def tensors(self, weights: str) -> Mapping[str, "torch.Tensor"]:
        """The tensors of a file (or the library's own) by the network's names. UsageError where it is unreadable."""
        return unwrapped(weight_files.read_tensors(weight_files.find_file(weights)))

    def no_default(self) -> str:
        """What to do, in a line, where a library publishes weights that m3h does not download; "" where it does."""
        return ""


def unknown_network(library: str, name: str, known: Sequence[str]) -> UsageError:
    """The error for a name that a library does not know. It has hundreds, so only near ones are named."""
    near = ", ".join(get_close_matches(name, known, n=3))
    return UsageError(
        f"{library} has no network {name!r}. {f'Near: {near}. ' if near else ''}All: {library}.list_models()"
    )


def unwrapped(content: object) -> dict[str, "torch.Tensor"]:
    """The tensors of a checkpoint by name: without the mapping around them, and without `module.` of a parallel one."""
    for name in ("state_dict_ema", "state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    tensors = content if isinstance(content, Mapping) else {}
    return {str(name).removeprefix("module."): tensor for name, tensor in tensors.items()}


def fitting(
    network: "torch.nn.Module", tensors: Mapping[str, "torch.Tensor"], weights: str
) -> dict[str, "torch.Tensor"]:
    """The tensors that `network` needs. Counters of training steps, which no feature depends on, may be missing.

    UsageError when a tensor is missing or has another shape.

    Args:
        network: may be on the device `meta`.
        tensors: by name; others than the network's are passed over.
        weights: for the error message.
    """
    import torch

    counters = {name: torch.tensor(0) for name in network.state_dict() if name.endswith("num_batches_tracked")}
    complete = {**counters, **tensors}
    weight_files.check_tensors(network, complete, weights)
    return {name: complete[name] for name in network.state_dict()}
