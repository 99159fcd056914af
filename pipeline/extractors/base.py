"""What an extractor must offer. It knows images and rows; it has never heard of Beam or of shards."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pipeline.picture import Picture
from schemas.config import Settings
from schemas.features import FeatureSpec, Row


class Extractor(ABC):
    """One image feature.

    The engine calls `load` once per process, then for each image `prepare` (from a small pool of threads, ahead of the
    model) and for each batch `extract`. Heavy imports stay inside methods, so that listing extractors needs no torch.

    Settings: its configuration, a field of `features` in the build's configuration.
    spec: of an instance, since settings may change the shape or type of what is stored.
    batch_size: every call of `extract` gets exactly so many inputs, short batches padded with the first input.
    memory_gb: what one loaded instance and its batches take, for clusters that place work by it.
    """

    Settings: ClassVar[type[Settings]] = Settings
    spec: FeatureSpec
    batch_size: int = 1
    memory_gb: float = 1.0

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def fingerprint_parts(self) -> Mapping[str, Any]:
        """All that changes values: weights' identity, preprocessing, thresholds, engine version. Loads no model.

        Raises UsageError where what it needs (a file, a program) is missing, naming it and how to get it.
        """

    @property
    def accelerated(self) -> bool:
        """Whether it computes on a GPU, apart from features that do not."""
        return False

    def require(self) -> None:  # noqa: B027 (most extractors need nothing)
        """UsageError where this machine cannot do what the settings ask for, such as computing on a GPU it lacks."""

    def notes(self) -> list[str]:
        """What a reader of the dataset must know, such as weights that are random."""
        return []

    def fetch(self) -> None:  # noqa: B027 (most extractors need nothing)
        """Bring what `load` needs onto this machine, once a run and only where there is work to do.

        Raises UsageError where it cannot be had.
        """

    @abstractmethod
    def load(self) -> None:
        """Get ready to extract, once per process."""

    @abstractmethod
    def prepare(self, picture: Picture) -> Any:
        """One picture as an input of `extract`. Raises ImageFault for an expected fault. Runs in threads."""

    @abstractmethod
    def extract(self, inputs: Sequence[Any]) -> list[Row]:
        """One row an input, in order."""
