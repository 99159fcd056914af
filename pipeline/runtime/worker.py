"""A worker process of the embedded runner: Beam's own, but silent unless something is wrong, and never an orphan."""

import logging
import os
import sys

from m3h.pipeline.runtime.lifetime import die_with_parent
from m3h.pipeline.runtime.memory import limit_arenas
from m3h.schemas.console import log_to_stderr

if __name__ == "__main__":
    die_with_parent()
    log_to_stderr(logging.WARNING)  # before Beam is imported, which warns of packages that nothing here needs
    logging.getLogger().handlers[0].setLevel(logging.ERROR)
    limit_arenas()
    from apache_beam.runners.worker import sdk_worker
    from apache_beam.runners.worker.sdk_worker_main import main

    from m3h.pipeline.runtime.disk_shuffle import shorten_queues
    from m3h.pipeline.runtime.runner_errors import silence_repetitions

    silence_repetitions()
    shorten_queues()
    # It prints tracebacks, which the process that serves us gets and reports anyway.
    vars(sdk_worker)["print"] = lambda *_, **__: None

    main(sys.argv)
    os._exit(0)  # all is written; to take gigabytes of models apart takes seconds
