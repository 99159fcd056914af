"""The charts of a report of runs. Each takes rows of `figures`."""

from collections.abc import Mapping, Sequence
from typing import Any

from m3h.schemas.page.charts import COLOURS, Rows, altair, as_wide_as_its_place, chart_of


def charts(found: Mapping[str, Rows], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The Vega-Lite of every chart that there is anything to draw for, by the name that the page gives it.

    Args:
        found: rows of `figures`, by name: loss, selection, frequency, length, robustness, reliability.
        labels: of the groups, in their order.
    """
    alt = altair()
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(labels))]
    legend = alt.Legend(orient="top", title=None, columns=1, labelLimit=320) if len(labels) > 1 else None
    colour = alt.Color("group", type="nominal", scale=alt.Scale(domain=list(labels), range=colours), legend=legend)
    lost = [row for row in found["robustness"] if row["way"] == "without" and row["lost"] is not None]
    rows = {**found, "robustness": lost}
    drawn = {
        "loss": _lines(alt, found["loss"], "loss", colour),
        "selection": _lines(alt, found["selection"], "f1", colour),
        "frequency": _groups(alt, found["frequency"], "training posts with the rarest keyphrase", colour, labels),
        "length": _groups(alt, found["length"], "tokens of the text", colour, labels),
        "robustness": _lost(alt, lost, colour, labels),
        "reliability": _reliability(alt, found["reliability"], colour),
    }
    return {name: as_wide_as_its_place(alt, chart) for name, chart in drawn.items() if rows[name]}


def _lines(alt: Any, rows: Rows, number: str, colour: Any) -> Any:
    """One line a run; of losses, one more for the selection posts."""
    is_loss = number == "loss"
    title = "loss (Eq. 12)" if is_loss else "F1@1 of the selection posts"
    encoded = {
        "x": alt.X("epoch", type="quantitative", title="epoch", axis=alt.Axis(tickMinStep=1)),
        "y": alt.Y(number, type="quantitative", title=title, axis=alt.Axis(format="" if is_loss else "%")),
        "color": colour,
        "detail": alt.Detail("run", type="nominal"),
        "tooltip": [alt.Tooltip("run", type="nominal"), alt.Tooltip("epoch", type="quantitative"),
                    alt.Tooltip(number, type="quantitative", format=".4f")],
    }  # fmt: skip
    if is_loss:
        encoded["strokeDash"] = alt.StrokeDash(
            "posts", type="nominal", scale=alt.Scale(domain=["training", "selection"], range=[[1, 0], [5, 3]]),
            legend=alt.Legend(orient="top", title=None),
        )  # fmt: skip
    return chart_of(alt, rows).mark_line(point=not is_loss).encode(**encoded).properties(height=240)


def _reliability(alt: Any, rows: Rows, colour: Any) -> Any:
    """The share of right phrases by their chance, one line a run; on the dashed line chances hold."""
    exact = alt.Chart(alt.Data(values=[{"chance": 0, "right": 0}, {"chance": 1, "right": 1}]))
    x = alt.X("chance", type="quantitative", title="chance that the run gives", axis=alt.Axis(format="%"))
    y = alt.Y("right", type="quantitative", title="share that is right", axis=alt.Axis(format="%"))
    lines = chart_of(alt, rows).mark_line(point=True).encode(
        x=x, y=y, color=colour, detail=alt.Detail("run", type="nominal"),
        tooltip=[alt.Tooltip("run", type="nominal"), alt.Tooltip("phrases", type="quantitative"),
                 *(alt.Tooltip(name, type="quantitative", format=".3f") for name in ("chance", "right"))],
    )  # fmt: skip
    dashed = exact.mark_line(strokeDash=[4, 4], color="#6b7785").encode(x=x, y=y)
    return (dashed + lines).properties(height=240)


def _groups(alt: Any, rows: Rows, title: str, colour: Any, labels: Sequence[str]) -> Any:
    """A bar for each group in each subset, as in Figure 5."""
    return (
        chart_of(alt, rows)
        .mark_bar()
        .encode(
            x=alt.X("subset", type="nominal", sort=None, title=title, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("group", type="nominal", sort=list(labels)),
            y=alt.Y("mean", type="quantitative", title="F1@1", axis=alt.Axis(format="%")),
            color=colour,
            tooltip=[alt.Tooltip("group", type="nominal"), alt.Tooltip("posts", type="quantitative"),
                     *(alt.Tooltip(name, type="quantitative", format=".4f") for name in ("mean", "sd"))],
        )
        .properties(height=240)
    )  # fmt: skip


def _lost(alt: Any, rows: Rows, colour: Any, labels: Sequence[str]) -> Any:
    """The share of F1@1 that is lost where an input is taken away."""
    inputs = len({row["input"] for row in rows})
    return (
        chart_of(alt, rows)
        .mark_bar()
        .encode(
            x=alt.X("lost", type="quantitative", title="share of F1@1 that is lost without it",
                    axis=alt.Axis(format="%")),
            y=alt.Y("input", type="nominal", sort=None, title=None),
            yOffset=alt.YOffset("group", type="nominal", sort=list(labels)),
            color=colour,
            tooltip=[alt.Tooltip("group", type="nominal"), alt.Tooltip("input", type="nominal"),
                     alt.Tooltip("lost", type="quantitative", format=".1%")],
        )
        .properties(height=max(2, inputs) * (14 + 12 * len(labels)))
    )  # fmt: skip
