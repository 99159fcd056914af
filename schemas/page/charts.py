"""Charts of a page as Vega-Lite, by altair, and the library that draws them. The `report` extra has both."""

from collections.abc import Mapping, Sequence
from typing import Any

from m3h.schemas.errors import UsageError

ACCENT = "#2f6fb3"
COLOURS = (ACCENT, "#e08a2e", "#3f9b5f", "#a4508b", "#b3261e", "#6b7785", "#8a6d1f", "#1f8a99")
BAR = 18
"""Pixels of one line of a bar chart."""

Rows = Sequence[Mapping[str, Any]]


def altair() -> Any:
    """The library.

    Raises:
        UsageError: It, the bundle that draws its charts in a browser, or what fills in pages is not installed.
    """
    try:
        import altair
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
        from PIL import Image  # noqa: F401
    except ImportError as error:
        raise UsageError(f"a report needs {error.name}: pip install 'm3h[report]'.") from error
    return altair


def library() -> str:
    """The JavaScript of Vega, Vega-Lite and Vega-Embed, in the version that altair writes for.

    It gives the page vegaEmbed, and keeps to itself thousands of names, of which `$` is one.
    """
    alt = altair()
    from vl_convert import javascript_bundle

    bundle = javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version="_".join(alt.SCHEMA_VERSION.split(".")[:2]))
    return f"(() => {{\n{bundle}\n}})();\n"


def as_wide_as_its_place(alt: Any, chart: Any) -> dict[str, Any]:
    """The Vega-Lite of a chart that takes the width of its place in the page."""
    fit = alt.AutoSizeParams(type="fit-x", contains="padding")
    made: dict[str, Any] = chart.properties(width="container", autosize=fit).to_dict()
    return made


def chart_of(alt: Any, rows: Rows) -> Any:
    """A chart without marks of these rows."""
    return alt.Chart(alt.Data(values=[dict(row) for row in rows]))
