"""`retry`: what failed, and nothing else, is tried again: pictures that could not be had, images without a row."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.build import Again, BuildOptions, BuildResult, build
from pipeline.config import BuildConfig
from pipeline.progress import AUTO
from pipeline.sources import is_released
from schemas.config import as_plain, resolve
from schemas.errors import UsageError
from schemas.manifest import Manifest


@dataclass(frozen=True)
class Retried:
    """before, after: records and images without a row, by reason, of the reasons that were tried again."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    result: BuildResult

    def summary(self) -> dict[str, Any]:
        """The line of `--json`."""
        return {"before": dict(self.before), "after": dict(self.after), **self.result.summary()}

    def text(self) -> str:
        """For people: a reason a line."""
        return "\n".join(f"{reason}: {number} -> {self.after[reason]}" for reason, number in self.before.items())


def retry(
    dataset: Path,
    reasons: Sequence[str] = (),
    dumps: Sequence[str] = (),
    images: Path | None = None,
    sets: Sequence[str] = (),
    recrawl: bool = False,
    workers: int = 1,
    beam_flags: Sequence[str] = (),
    progress: str = AUTO,
) -> Retried:
    """Try again what was dropped for `reasons`; none: whatever a second try may help.

    dumps: corrected ones, each in the place of the dump of its name. images: one more folder to look in.
    sets: other ways to try (`crawl.…`, `features.ocr.timeout_seconds`); a rule of cleaning cannot change here.
    recrawl: ask for every fetched picture whether it changed, too. progress: as `Watch` has it.
    UsageError where nothing was dropped for a reason.
    """
    manifest = Manifest.read(dataset)
    known = dropped_by_reason(manifest)
    for reason in reasons:
        if reason not in known:
            raise UsageError(f"--reason {reason}: nothing was dropped for it. There are: {', '.join(sorted(known))}.")
    chosen = frozenset(reasons or known)
    config = resolve(BuildConfig, manifest.config, sets)
    computed = [name for name in manifest.features if name in as_plain(config)["features"]]
    options = BuildOptions(
        dumps, dataset, images,
        features=() if is_released(manifest) else computed, config=config, workers=workers, beam_flags=beam_flags,
        progress=progress, command="retry",
    )  # fmt: skip
    result = build(options, Again(chosen, recrawl))
    after = dropped_by_reason(result.manifest)
    return Retried({r: known[r] for r in sorted(chosen)}, {r: after[r] for r in sorted(chosen)}, result)


def dropped_by_reason(manifest: Manifest) -> Counter[str]:
    """Records dropped, and images without a row of a current feature, by reason."""
    found: Counter[str] = Counter()
    doors: Iterable[Mapping[str, int]] = manifest.counts["dropped"].values()
    current = [known["versions"][known["current"]]["dropped"] for known in manifest.features.values()]
    for numbers in (*doors, *current):
        found.update(numbers)
    return found
