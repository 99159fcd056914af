"""`python -m pipeline`."""

import sys

from m3h.schemas.own_module import guard_child_processes, ignore_current_folder

if __name__ == "__main__":
    ignore_current_folder()
    guard_child_processes()
    from m3h.schemas.console import expect_interrupts, leave

    expect_interrupts()
    from m3h.pipeline.cli import main

    leave(main(sys.argv[1:]))
