#!/usr/bin/env python
"""A worker of pool.py, started with the words of Beam's container contract.

It ends at once when its TaskManager is gone, whatever it is busy with: Beam's own would finish its shard first, beside
the worker that does the same shard again.
"""

import argparse
import logging
import os

from apache_beam.runners.worker.sdk_worker import SdkHarness


def main() -> None:
    """Work until told otherwise."""
    words = argparse.ArgumentParser()
    words.add_argument("--id", required=True)
    words.add_argument("--control_endpoint", required=True)
    given, _ = words.parse_known_args()
    code = 1
    try:
        SdkHarness(given.control_endpoint, worker_id=given.id, data_buffer_time_limit_ms=-1).run()
        code = 0
    except Exception:  # its TaskManager was killed, most often
        logging.exception("worker %s ends", given.id)
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
