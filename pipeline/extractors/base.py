"""The interface of an extractor. An extractor turns pictures into rows and does not depend on Beam or on shards."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from m3h.pipeline.images.picture import Picture
from m3h.schemas.config import Settings
from m3h.schemas.errors import M3hError, UsageError
from m3h.schemas.features import FeatureSpec, Row


class Extractor(ABC):
    """One image feature.

    The engine calls `load` once per process. Then it calls `prepare` for each image, from a small pool of threads that
    runs ahead of the model, and `extract` for each batch. Heavy imports stay inside methods, so that listing extractors
    does not import torch.

    Settings: the class of its configuration, a field of `features` in the build's configuration.
    spec: what it stores. An instance has its own, because settings may change the shape or type.
    batch_size: number of inputs in every call of `extract`; a short batch is padded with its first input.
    ahead: number of inputs that are prepared while others are extracted; None: those of two batches.
    memory_gb: memory for one loaded instance and its batches, in GB, for clusters that place work by memory.
    package: name and version of the package that an extractor from outside this project came from, else "".
    spared_seconds: how long it would have computed so far, if features of the same network had not done it already.
    """

    Settings: ClassVar[type[Settings]] = Settings
    spec: FeatureSpec
    batch_size: int = 1
    ahead: int | None = None
    memory_gb: float = 1.0
    package: str = ""
    spared_seconds: float = 0.0

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def fingerprint_parts(self) -> Mapping[str, object]:
        """Everything that changes values: weights' identity, preprocessing, thresholds, engine version.

        No model is loaded. When a file or a program is missing, UsageError names it and says how to get it.
        """

    def identity(self) -> dict[str, object]:
        """What its fingerprint is made of: `fingerprint_parts`, and the package of an extractor from outside.

        UsageError as `fingerprint_parts`; any error of another package's code becomes one.
        """
        if not self.package:
            return dict(self.fingerprint_parts())
        try:
            return {**self.fingerprint_parts(), "package": self.package}
        except M3hError:
            raise
        except Exception as error:
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise UsageError(f"extractor {self.spec.name} of {self.package}: {said}.") from error

    @property
    def accelerated(self) -> bool:
        """Whether it computes on a GPU. Such features are computed separately from the others."""
        return False

    @property
    def shared_network(self) -> str:
        """The network that one pass computes for all features that name the same one here; "" where none does."""
        return ""

    def require(self) -> None:  # noqa: B027 (most extractors need nothing)
        """UsageError when this machine cannot do what the settings ask for, for example without a GPU."""

    def notes(self) -> list[str]:
        """What users of the dataset must know, for example that weights are random."""
        return []

    def fetch(self) -> None:  # noqa: B027 (most extractors need nothing)
        """Get what `load` needs onto this machine. Called once per run, and only when there is work to do.

        UsageError when it is not available.
        """

    @abstractmethod
    def load(self) -> None:
        """Prepare this process for `extract`. Called once per process."""

    @abstractmethod
    def prepare(self, picture: Picture) -> Any:
        """Turn one picture into an input of `extract`. Runs in threads. ImageFault for an expected fault."""

    @abstractmethod
    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """One row per input, in order."""
