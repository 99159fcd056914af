"""`refresh`: what `plan` announces is done, and nothing else. The version before stays, and `use` goes back to it."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import BuildConfig
from pipeline.extractors.base import Extractor
from pipeline.plan import BLOCKED, IMPORTED, Plan, plan
from pipeline.progress import AUTO
from pipeline.publish import BuiltFeature, publish_features, remove_unlisted
from pipeline.run import Run
from pipeline.state import BuildState
from schemas.config import as_plain
from schemas.errors import UsageError
from schemas.manifest import Manifest

log = logging.getLogger(__name__)

SIGNATURE = "refresh"


@dataclass(frozen=True)
class Refreshed:
    """plan: what was announced. features: what was done, as the manifest has it now; unforeseen faults among it."""

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
                "from": step.old, "to": feature.fingerprint, "rows": version["rows"], "dropped": version["dropped"],
                "computed": sum(receipt.computed for receipt in feature.receipts),
            }  # fmt: skip
        stands = [step.feature for step in self.plan.steps if not step.works]
        return {"refreshed": done, "stands": stands, "seconds": round(self.seconds, 3)}

    def text(self) -> str:
        """For people: a feature a line."""
        lines = [
            f"{name} {done['from'] or '(none)'} -> {done['to']}: {done['rows']} rows, {done['computed']} computed"
            + "".join(f", {number} {reason}" for reason, number in done["dropped"].items())
            for name, done in self.summary()["refreshed"].items()
        ]
        return "\n".join(lines or ["nothing to do"])


def refresh(
    dataset: Path,
    names: Sequence[str] = (),
    config: Path | None = None,
    sets: Sequence[str] = (),
    workers: int = 1,
    beam_flags: Sequence[str] = (),
    announce: Callable[[Plan], None] = lambda _: None,
    progress: str = AUTO,
) -> Refreshed:
    """Compute the features whose fingerprint is another now, and make them current. Killed, the same call goes on.

    announce: is told the plan before anything is done. progress: as `Watch` has it. Other arguments as
    `plan`'s. UsageError where one of `names` cannot be computed, or one of the dataset's own features is blocked.
    """
    started = time.monotonic()
    planned = plan(dataset, names, config, sets)
    _refuse_impossible(planned, names)
    announce(planned)
    state = BuildState(dataset)
    if not planned.works and not state.is_unfinished:
        return Refreshed(planned, seconds=time.monotonic() - started)
    extractors = [step.extractor for step in planned.works if step.extractor]
    if extractors:
        from pipeline.extraction import require
        from pipeline.storage import give_options

        give_options(beam_flags)
        require(extractors, beam_flags)
    run = Run("refresh", state, progress, workers, beam_flags)
    with state.locked(), run:
        state.refuse_unfinished(SIGNATURE)
        state.refuse_changed(planned.known)
        features = _computed(state, planned, extractors, workers, beam_flags, run)
        run.finish(Manifest.read(dataset))
        state.finish()
    broken = {feature.name: number for feature in features if (number := feature.unexpected)}
    return Refreshed(planned, tuple(features), time.monotonic() - started, broken)


def _refuse_impossible(planned: Plan, names: Sequence[str]) -> None:
    for step in planned.steps:
        if step.state == BLOCKED or (step.state == IMPORTED and step.feature in names):
            raise UsageError(f"feature {step.feature}: {step.why}.")


def _computed(
    state: BuildState, planned: Plan, extractors: Sequence[Extractor], workers: int, beam_flags: Sequence[str], run: Run
) -> list[BuiltFeature]:
    known = planned.known
    state.sweep()
    state.begin({SIGNATURE: {step.feature: step.new for step in planned.works}})
    if state.is_installing:
        state.install()
    if not extractors:  # it was killed when all was done but for this
        remove_unlisted(state.dataset, known)
        return []
    from pipeline.extraction import Extraction

    config = _config(planned)
    features = Extraction(state, extractors, config.shards.images, workers, run, known, beam_flags).complete()
    for feature in features:
        feature.write_description(state.next)
        feature.write_dropped(state.next)
    state.install()
    publish_features(state.dataset, config, features, known)
    return features


def _config(planned: Plan) -> BuildConfig:
    """The dataset's configuration, that of the features which are done again as it is asked for now."""
    asked = as_plain(planned.config)["features"]
    features = {**planned.known.config["features"], **{step.feature: asked[step.feature] for step in planned.works}}
    return BuildConfig.model_validate({**planned.known.config, "features": features})
