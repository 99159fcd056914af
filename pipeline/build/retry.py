"""`retry`: tries again only what failed: pictures that could not be obtained, and images without a row."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from m3h.pipeline.build.build import BuildOptions, BuildResult, RetryRequest, build
from m3h.pipeline.build.sources import is_released
from m3h.pipeline.config import config_of
from m3h.pipeline.dataset.remembered import fields_of, own_crawl_settings, refuse_unnamed_files
from m3h.schemas.config import as_plain
from m3h.schemas.errors import UsageError
from m3h.schemas.inside import refuse_strange
from m3h.schemas.manifest import Manifest


@dataclass(frozen=True)
class Retried:
    """The outcome of a retry.

    before, after: number of dropped records and of images without a row, by reason, for the reasons that were retried.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    result: BuildResult

    def summary(self) -> dict[str, Any]:
        """The outcome for `--json`."""
        return {"before": dict(self.before), "after": dict(self.after), **self.result.summary()}

    def text(self) -> str:
        """The outcome for people, one line per reason."""
        return "\n".join(f"{reason}: {number} -> {self.after[reason]}" for reason, number in self.before.items())


def retry(
    options: BuildOptions, reasons: Sequence[str] = (), sets: Sequence[str] = (), *, recrawl: bool = False
) -> Retried:
    """Try again what was dropped.

    Args:
        options: The dataset, and how to work. Its dumps are corrected ones, which replace the dumps of the same names.
            Its images are one more folder with pictures. Features, configuration and command are set here.
        reasons: Only what was dropped for these reasons is tried again. Empty for all reasons.
        sets: Other settings (`crawl.…`, `features.ocr.timeout_seconds`), as "a.b=c". The rules of cleaning cannot be
            changed here.
        recrawl: Whether the server is also asked for every fetched picture if it changed.

    Raises:
        UsageError: Nothing was dropped for one of `reasons`.
    """
    refuse_strange(options.dataset)
    manifest = Manifest.read(options.dataset)
    known = dropped_by_reason(manifest)
    for reason in reasons:
        if reason not in known:
            raise UsageError(f"--reason {reason}: nothing was dropped for it. There are: {', '.join(sorted(known))}.")
    chosen = frozenset(reasons or known)
    config = config_of(own_crawl_settings(options.dataset, manifest.config), sets)
    plain = as_plain(config)
    computed = [name for name in manifest.features if name in plain["features"]]
    named = fields_of(sets)
    refuse_unnamed_files(options.dataset, manifest.config, plain, features=computed, named=named)
    features = () if is_released(manifest) else tuple(computed)
    retrying = replace(options, features=features, config=config, command="retry")
    result = build(retrying, RetryRequest(chosen, recrawl))
    after = dropped_by_reason(result.manifest)
    return Retried({r: known[r] for r in sorted(chosen)}, {r: after[r] for r in sorted(chosen)}, result)


def dropped_by_reason(manifest: Manifest) -> Counter[str]:
    """Number of dropped records and of images without a row of a current feature, by reason."""
    by_reason: Counter[str] = Counter()
    of_stages: Iterable[Mapping[str, int]] = manifest.counts["dropped"].values()
    of_features = [known.current_version.dropped for known in manifest.features.values()]
    for numbers in (*of_stages, *of_features):
        by_reason.update(numbers)
    return by_reason
