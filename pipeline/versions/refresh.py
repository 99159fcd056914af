"""`refresh`: compute what `plan` announces, and nothing else.

The version that was current before stays in the dataset, and `use` makes it current again.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3h.pipeline.config import BuildConfig, config_of
from m3h.pipeline.dataset.built_feature import BuiltFeature
from m3h.pipeline.dataset.publish import describe_features
from m3h.pipeline.dataset.remembered import remember
from m3h.pipeline.dataset.run_recorder import Run
from m3h.pipeline.dataset.timings import remember_timings
from m3h.pipeline.dataset.transaction import REFRESH, Change, transaction
from m3h.pipeline.dataset.workspace import Workspace
from m3h.pipeline.extractors.base import Extractor
from m3h.pipeline.progress.monitor import AUTO
from m3h.pipeline.versions.plan import BLOCKED, IMPORTED, Plan, plan
from m3h.schemas.config import as_plain
from m3h.schemas.errors import UsageError
from m3h.schemas.manifest import Manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Refreshed:
    """What `refresh` did.

    plan: what was announced. features: what was computed. seconds: how long it took. broken: for each feature with an
    unexpected error, how many pictures had one.
    """

    plan: Plan
    features: tuple[BuiltFeature, ...] = ()
    seconds: float = 0.0
    broken: Mapping[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The line of `--json`."""
        done = {}
        for feature in self.features:
            (step,) = (step for step in self.plan.works if step.feature == feature.name)
            version = feature.version()
            done[feature.name] = {
                "from": step.old, "to": feature.fingerprint, "rows": version.rows, "dropped": dict(version.dropped),
                "computed": sum(receipt.computed for receipt in feature.receipts),
            }  # fmt: skip
        stands = [step.feature for step in self.plan.steps if not step.works]
        return {"refreshed": done, "stands": stands, "seconds": round(self.seconds, 3)}

    def text(self) -> str:
        """For people: one line for each feature."""
        lines = [
            f"{name} {done['from'] or '(none)'} -> {done['to']}: {done['rows']} rows, {done['computed']} computed"
            + "".join(f", {number} {reason}" for reason, number in done["dropped"].items())
            for name, done in self.summary()["refreshed"].items()
        ]
        return "\n".join(lines or ["nothing to do"])


@dataclass(frozen=True)
class RefreshOptions:
    """How `refresh` runs; none of it changes what is computed.

    workers: processes of the embedded runner. beam_flags: Beam's own flags. progress: how the progress is shown, as for
    `Watch`.
    """

    workers: int = 1
    beam_flags: Sequence[str] = ()
    progress: str = AUTO


def refresh(
    dataset: Path,
    names: Sequence[str] = (),
    config: Path | None = None,
    *,
    sets: Sequence[str] = (),
    announce: Callable[[Plan], None] = lambda _: None,
    options: RefreshOptions = RefreshOptions(),
) -> Refreshed:
    """Compute the features whose fingerprint has changed, and make the new versions current.

    If it is killed, the same call continues the work.

    Args:
        dataset: the dataset's folder.
        names: the features to compute; they may be new to the dataset. If empty, all features of the dataset.
        config: a YAML file whose fields replace those of the dataset's configuration.
        sets: `FIELD=VALUE`, over both.
        announce: called with the plan before anything is computed.
        options: how it runs.

    Returns:
        The plan, and what was computed.

    Raises:
        UsageError: one of `names` cannot be computed, or one of the dataset's own features is blocked.
    """
    started = time.monotonic()
    planned = plan(dataset, names, config, sets=sets)
    _refuse_impossible(planned, names)
    announce(planned)
    if not planned.works and not Workspace(dataset).is_unfinished:
        return Refreshed(planned, seconds=time.monotonic() - started)
    extractors = [step.extractor for step in planned.works if step.extractor]
    if extractors:
        from m3h.pipeline.build.extraction import require
        from m3h.pipeline.runtime.filesystems import give_options

        give_options(options.beam_flags)
        require(extractors, options.beam_flags)
    work = {"refresh": {step.feature: step.new for step in planned.works}}
    with (
        transaction(dataset, REFRESH, planned.known, work=work) as change,
        Run(
            "refresh", change.workspace, options.progress, workers=options.workers, beam_flags=options.beam_flags
        ) as run,
    ):
        features = _computed(change, planned, extractors, run=run)
        manifest = change.publish(lambda: _described(dataset, planned, features))
        remember(dataset, as_plain(planned.config), [step.feature for step in planned.works])
        remember_timings(dataset, features)
        run.finish(manifest)
    broken = {feature.name: number for feature in features if (number := feature.unexpected)}
    return Refreshed(planned, tuple(features), time.monotonic() - started, broken)


def _refuse_impossible(planned: Plan, names: Sequence[str]) -> None:
    for step in planned.steps:
        if step.state == BLOCKED or (step.state == IMPORTED and step.feature in names):
            raise UsageError(f"feature {step.feature}: {step.why}.")


def _computed(change: Change, planned: Plan, extractors: Sequence[Extractor], *, run: Run) -> list[BuiltFeature]:
    if not extractors:  # an earlier call was killed after everything was computed
        return []
    from m3h.pipeline.build.extraction import Extraction

    features = Extraction(change.workspace, extractors, _config(planned).shards.images, run, planned.known).complete()
    for feature in features:
        feature.write_description(change.next)
        feature.write_dropped(change.next)
    return features


def _described(dataset: Path, planned: Plan, features: Sequence[BuiltFeature]) -> Manifest:
    return describe_features(dataset, _config(planned), features, known=planned.known) if features else planned.known


def _config(planned: Plan) -> BuildConfig:
    """The dataset's configuration, with the changes that are asked for in the features that are computed again."""
    asked = as_plain(planned.config)["features"]
    features = {
        **planned.known.config.get("features", {}),
        **{step.feature: asked[step.feature] for step in planned.works},
    }
    return config_of({**planned.known.config, "features": features})
