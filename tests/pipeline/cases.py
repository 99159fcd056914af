"""How many of many cases alike are run: a spread-out share, the same each time, or all where `M3H_CASES=all`."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def all_wanted() -> bool:
    """Whether all cases are asked for."""
    return os.environ.get("M3H_CASES") == "all"


def some(cases: Sequence[T], number: int) -> list[T]:
    """So many of the cases, as far apart as can be, beginning with the first; all of them where all are wanted."""
    wanted = len(cases) if all_wanted() else min(number, len(cases))
    return [cases[i * len(cases) // wanted] for i in range(wanted)]
