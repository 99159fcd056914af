#!/usr/bin/env bash
# apache-beam 2.77.0 with dask and distributed 2026.8.0 (Python 3.11), 2026-11-29
#
# Seen: Beam's runner for Dask ignores tags of outputs, drops what a DoFn yields in finish_bundle and runs only one of
# two branches. Each pipeline ends as DONE; Beam's embedded runner gives the right answer to each.
#
# Expected: the answers of the other runners, or an error: NotImplementedError is what it says to metrics.
#
# Why it hurts here: "keep a post or drop it with a reason" is a tagged output, so dropped posts go into the dataset.
# Models work on batches, and BatchElements hands out its last batch in finish_bundle: the last pictures are missing.
# One pipeline writes texts and pictures, so one of the two files is never written. Who tries the runner with one chain
# of maps finds it correct.
#
# Output seen:
#   kept, of 0..9 without 0 and 5      embedded: DONE 1 2 3 4 6 7 8 9     Dask: DONE 0 1 2 3 4 5 6 7 8 9
#   batches of 64 from 100             embedded: DONE 36 64               Dask: DONE 64
#   two branches                       embedded: DONE pictures texts      Dask: DONE texts
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check "apache-beam[dask]==2.77.0" dask==2026.8.0 distributed==2026.8.0

cat > compare.py <<'END'
import os
import sys
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dask.dask_runner import DaskRunner
from dask.distributed import LocalCluster


class Append(beam.DoFn):
    def __init__(self, path: str):
        self.path = path

    def process(self, item):
        with open(self.path, "a") as file:
            file.write(f"{item}\n")


def route(number: int):
    yield beam.pvalue.TaggedOutput("dropped", number) if number % 5 == 0 else number


def tagged(root, path: str) -> None:
    posts = root | beam.Create(range(10)) | beam.FlatMap(route).with_outputs("dropped", main="kept")
    posts.kept | beam.ParDo(Append(path))


def batched(root, path: str) -> None:
    root | beam.Create(range(100)) | beam.BatchElements(64, 64) | beam.Map(len) | beam.ParDo(Append(path))


def branches(root, path: str) -> None:
    posts = root | beam.Create(["post"])
    for name in ("pictures", "texts"):
        posts | f"make {name}" >> beam.Map(lambda post, name=name: name) | f"write {name}" >> beam.ParDo(Append(path))


CASES = {
    "kept, of 0..9 without 0 and 5": (tagged, "1 2 3 4 6 7 8 9", "0 1 2 3 4 5 6 7 8 9"),
    "batches of 64 from 100": (batched, "36 64", "64"),
    "two branches": (branches, "pictures texts", "texts"),
}


def answer(wire, pipeline: beam.Pipeline) -> str:
    path = Path("answer").absolute()
    path.write_text("")
    wire(pipeline, str(path))
    state = pipeline.run().wait_until_finish()
    return f"{state} {' '.join(sorted(path.read_text().split()))}"


def main() -> int:
    changed = 0
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        options = PipelineOptions([f"--dask_client_address={cluster.scheduler_address}"])
        for name, (wire, right, wrong) in CASES.items():
            embedded = answer(wire, beam.Pipeline("FnApiRunner"))
            dask = answer(wire, beam.Pipeline(DaskRunner(), options))
            print(f"{name:34} embedded: {embedded:24} Dask: {dask}", flush=True)
            if (embedded, dask) != (f"DONE {right}", f"DONE {wrong}"):
                print(f"changed: the Dask runner's answer to '{name}'", file=sys.stderr, flush=True)
                changed = 1
    return changed


if __name__ == "__main__":
    os._exit(main())  # Beam leaves its Dask client open, which would wait half a minute for the cluster
END
env/bin/python compare.py 2> log || { grep changed: log || tail -n 1 log; exit 1; } >&2
