"""A worker process of the embedded runner: Beam's own, but silent unless something is wrong."""

import logging
import sys

if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger().handlers[0].setLevel(logging.ERROR)
    from apache_beam.runners.worker.sdk_worker_main import main

    main(sys.argv)
