"""A process that measures engines: the processor seconds that each needs for a batch of a feature's network."""

import json
import sys
import time
from typing import Any

from m3h.pipeline.extractors import extractor_class, make_extractor
from m3h.pipeline.extractors.network import NetworkExtractor
from m3h.schemas.console import show
from m3h.schemas.errors import UsageError

ROUNDS = 4
"""Batches of each engine, in turns. The first one of each warms up; the shortest of the others counts."""


def main(asked: dict[str, Any]) -> None:
    """The seconds by engine on stdout, as JSON in the last line; where none can compute, why on stderr."""
    try:
        show(json.dumps(seconds_of(**asked)))
    except UsageError as error:
        sys.exit(f"{error}")


def seconds_of(feature: str, settings: dict[str, Any], engines: list[str]) -> dict[str, float]:
    """Processor seconds of a batch by engine, the shortest of some. An engine that cannot read the network is left out.

    UsageError where torch cannot compute it.
    """
    import numpy as np

    loaded: dict[str, NetworkExtractor] = {}
    for name in engines:
        extractor: Any = make_extractor(feature, extractor_class(feature).Settings(**{**settings, "engine": name}))
        try:
            if not loaded:  # all have the same weights
                extractor.fetch()
            extractor.load()
        except UsageError:
            if name == "torch":
                raise
            continue
        loaded[name] = extractor
    shape = next(iter(loaded.values())).about().shape
    noise = np.random.default_rng(0).standard_normal((settings["batch_size"], *shape), np.float32)
    spent: dict[str, list[float]] = {name: [] for name in loaded}
    for _ in range(ROUNDS):
        for name, extractor in loaded.items():
            started = time.process_time()
            extractor.outputs(list(noise))
            spent[name].append(time.process_time() - started)
    return {name: min(rounds[1:]) for name, rounds in spent.items()}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
