"""The embedded runner hands worker processes all that they are to work on."""

import time

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker import data_plane

from m3h.pipeline.runtime.runner import run_pipeline

SECONDS = 1.6
"""Longer than the second after which Beam would flush."""


def test_what_takes_long_to_send_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    run_pipeline(lambda root: root | beam.Create(["settles how"]), (), workers=1)
    channel = data_plane.BeamFnDataServicer(worker_handlers.DATA_BUFFER_TIME_LIMIT_MS).get_conn_by_worker_id("worker")
    send = channel._enqueue_to_send

    def slowly(element: object) -> None:
        time.sleep(0.3)
        send(element)

    monkeypatch.setattr(channel, "_enqueue_to_send", slowly)
    sent = bytes(range(160))
    stream = channel.output_stream("bundle", "transform")
    for byte in sent:
        stream.write(bytes([byte]))
        time.sleep(SECONDS / len(sent))
    stream.close()
    got, done = b"", False
    outputs = channel._write_outputs()
    while not done:
        for data in next(outputs).data:
            got, done = got + data.data, data.is_last
    assert got == sent
