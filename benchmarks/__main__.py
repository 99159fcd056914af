"""`make bench`: every case, its sides in turns, answers compared; a table on stdout and a result in JSON.

    python -m benchmarks --only text ocr --size 0.5 --rounds 3 --json bench.json

A case whose sides find different things fails, and so does the command, after the others have run.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.harness.case import PEERS, Case, WrongAnswer, run_case
from benchmarks.harness.measure import CommandFailed
from benchmarks.harness.table import described, load, machine, markdown
from benchmarks.harness.work import named

VERSIONS = Path(__file__).with_name("peers.txt")


def main() -> int:
    """Run cases; the exit code is 1 where one failed, 2 for wrong use."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="these cases")
    parser.add_argument("--size", type=float, default=1.0, help="times as many things as a case has by itself")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the result goes")
    options = parser.parse_args()
    if options.size <= 0 or options.rounds < 1:
        parser.error("--size must be above 0, and --rounds at least 1")
    if not PEERS.exists():
        parser.error(f"{PEERS}: not there. `make bench` installs what is compared with.")
    return run(options.only, options.size, options.rounds, result=options.json)


def run(names: list[str], size: float, rounds: int, *, result: Path) -> int:
    """Run cases, print their tables, write the result; 1 where a case failed."""
    peers = [line for line in VERSIONS.read_text().splitlines() if line and not line.startswith("#")]
    loads, found, failed = [load()], [], []
    for name in names:
        case: Case = named(CASES[name])
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                one = run_case(case, Path(folder), size, rounds)
            except (WrongAnswer, CommandFailed) as error:
                failed.append(f"{name}: {error}")
                print(f"### {case.title}\n\nfailed: {error}\n", flush=True)
                continue
        found.append(one.json())
        print(markdown(one, rounds), flush=True)
        loads.append(load())
    about = machine()
    print(described(about, [loads[0], load()], peers))
    summary: dict[str, Any] = {"machine": about, "peers": peers, "loads": loads, "rounds": rounds, "size": size}
    result.write_text(json.dumps({**summary, "cases": found, "failed": failed}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
