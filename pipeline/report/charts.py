"""The charts of a report as Vega-Lite, by altair. Each takes rows of `figures` and knows nothing of datasets."""

from collections.abc import Mapping
from typing import Any

from m3h.schemas.page.charts import ACCENT, BAR, Rows, altair, as_wide_as_its_place, chart_of

_SPLITS = {"train": "#2f6fb3", "valid": "#e08a2e", "test": "#3f9b5f"}


def charts(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The Vega-Lite of every chart that there is anything to draw for, by the name that the page gives it.

    Args:
        found: rows of `figures`, by name.
    """
    alt = altair()
    drawn = {
        "funnel": _bars(alt, found["funnel"], "stage", "left", sort=None),
        "lengths": _lengths(alt, found["lengths"]),
        "keyphrases": _bars(alt, found["keyphrases"], "keyphrase", "posts"),
        "ranks": _ranks(alt, found["ranks"]),
        "together": _together(alt, found["together"]),
        "languages": _bars(alt, found["languages"], "language", "posts"),
        "months": _months(alt, found["months"]),
        "sizes": _sizes(alt, found["sizes"]),
        "words": _bars(alt, found["words"], "word", "pictures"),
        "word_numbers": _columns(alt, found["word_numbers"], "words", "pictures"),
        "attributes": _bars(alt, found["attributes"], "attribute", "pictures"),
        "objects": _bars(alt, found["objects"], "object", "pictures"),
        "clusters": _columns(alt, found["clusters"], "posts", "groups"),
    }
    return {name: as_wide_as_its_place(alt, chart) for name, chart in drawn.items() if found[name]}


def _bars(alt: Any, rows: Rows, name: str, number: str, sort: str | None = "-x") -> Any:
    """One line a name."""
    return (
        chart_of(alt, rows)
        .mark_bar(color=ACCENT)
        .encode(
            x=alt.X(number, type="quantitative", title=number),
            y=alt.Y(name, type="nominal", sort=sort, title=None, axis=alt.Axis(labelLimit=140)),
            tooltip=[alt.Tooltip(name, type="nominal"), alt.Tooltip(number, type="quantitative", format=",")],
        )
        .properties(height=BAR * max(len(rows), 2))  # alt.Step makes Vega-Lite warn beside a width of "container"
    )


def _columns(alt: Any, rows: Rows, by: str, number: str) -> Any:
    """One column a whole number."""
    return (
        chart_of(alt, rows)
        .mark_bar(color=ACCENT)
        .encode(
            x=alt.X(by, type="quantitative", bin=alt.Bin(maxbins=40), title=by),
            y=alt.Y(number, type="quantitative", aggregate="sum", title=number),
        )
    )


def _lengths(alt: Any, rows: Rows) -> Any:
    return (
        chart_of(alt, rows)
        .mark_bar()
        .encode(
            x=alt.X("tokens", type="quantitative", bin=alt.Bin(maxbins=40), title="tokens"),
            y=alt.Y("posts", type="quantitative", aggregate="sum", title="posts"),
            color=alt.Color(
                "split",
                type="nominal",
                scale=alt.Scale(domain=list(_SPLITS), range=list(_SPLITS.values())),
                legend=alt.Legend(orient="top", title=None),
            ),
        )
    )


def _ranks(alt: Any, rows: Rows) -> Any:
    return (
        chart_of(alt, rows)
        .mark_line(point=True, color=ACCENT)
        .encode(
            x=alt.X("rank", type="quantitative", scale=alt.Scale(type="log"), title="rank of the keyphrase"),
            y=alt.Y("posts", type="quantitative", scale=alt.Scale(type="log"), title="posts"),
        )
    )


def _together(alt: Any, rows: Rows) -> Any:
    return (
        chart_of(alt, rows)
        .mark_rect()
        .encode(
            x=alt.X("one", type="nominal", title=None, axis=alt.Axis(labelAngle=-60, labelLimit=90)),
            y=alt.Y("other", type="nominal", title=None, axis=alt.Axis(labelLimit=110)),
            color=alt.Color(
                "posts", type="quantitative", scale=alt.Scale(scheme="blues", type="symlog"), title="posts"
            ),
            tooltip=[
                alt.Tooltip("one", type="nominal"),
                alt.Tooltip("other", type="nominal"),
                alt.Tooltip("posts", type="quantitative"),
            ],
        )
        .properties(height=BAR * max(len({row["other"] for row in rows}), 2))
    )


def _months(alt: Any, rows: Rows) -> Any:
    return (
        chart_of(alt, rows)
        .mark_bar(color=ACCENT)
        .encode(
            x=alt.X("month", type="temporal", timeUnit="utcyearmonth", title="month (UTC)"),
            y=alt.Y("posts", type="quantitative", title="posts"),
        )
    )


def _sizes(alt: Any, rows: Rows) -> Any:
    return (
        chart_of(alt, rows)
        .mark_circle(color=ACCENT)
        .encode(
            x=alt.X("width", type="quantitative", title="width (pixels)"),
            y=alt.Y("height", type="quantitative", title="height (pixels)"),
            size=alt.Size("pictures", type="quantitative", legend=alt.Legend(orient="top")),
            tooltip=[alt.Tooltip(name, type="quantitative") for name in ("width", "height", "pictures")],
        )
    )
