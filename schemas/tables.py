"""Tables for people. rich aligns the columns. They look the same on a terminal, in a pipe and in a file."""

import io
from collections.abc import Collection, Iterable, Sequence

from m3h.schemas.console import one_line

UNCUT = 100_000
"""Characters that a line may have. No cell is cut or wrapped, whatever the width of the terminal."""


def format_table(
    rows: Iterable[Sequence[object]], *, headings: Sequence[str] = (), right: Collection[int] = ()
) -> list[str]:
    """The lines of a table: no borders, no colours, two blanks between columns, no blanks at the end of a line.

    Args:
        rows: All of the same number of cells. Each cell is shown as `str` gives it.
        headings: Of the columns. None are printed where this is empty.
        right: Numbers of the columns that are aligned to the right. The first column is 0.
    """
    from rich.console import Console  # here, because most commands print no table
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(one_line(str(cell))) for cell in row] for row in rows]  # Text: a bracket in a cell is no markup
    if not cells and not headings:
        return []
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=bool(headings))
    for column in range(len(headings or cells[0])):
        heading = Text(headings[column]) if headings else ""
        table.add_column(heading, justify="right" if column in right else "left", no_wrap=True)
    for row in cells:
        table.add_row(*row)
    file = io.StringIO()
    Console(file=file, width=UNCUT, color_system=None, force_terminal=False, legacy_windows=False).print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]
