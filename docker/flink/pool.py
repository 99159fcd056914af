"""Beam's pool of workers at one address of this machine: `python docker/flink/pool.py 127.0.0.2:50000`.

Beam's own program, `python -m apache_beam.runners.worker.worker_pool_main`, takes its port on all addresses: enough for
a machine with one TaskManager. Several on one machine need a pool each: they number their workers alike, so that in a
common pool one would stop another's.
"""

import logging
import sys
from pathlib import Path

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils.thread_pool_executor import shared_unbounded_instance

WORKER = str(Path(__file__).with_name("worker.py").resolve())


def serve(address: str) -> None:
    """Start and stop workers for whoever asks, without end. RuntimeError where the address is taken."""
    server = grpc.server(shared_unbounded_instance())
    server.add_insecure_port(address)
    pool = BeamFnExternalWorkerPoolServicer(use_process=True, container_executable=WORKER)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    serve(sys.argv[1])
