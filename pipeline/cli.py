"""`python -m pipeline`: which commands there are. Beam's own flags follow `--`."""

import logging
from collections.abc import Callable, Sequence

import typer

from pipeline.commands import checking, crawling, exporting, making, records, refreshing, training, weights
from pipeline.commands.options import beam_flags
from pipeline.told import silence_repetitions, told_by_stage
from schemas.console import run

COMMANDS: dict[str, Callable[..., int]] = {
    "build": making.build_command,
    "retry": making.retry_command,
    "plan": refreshing.plan_command,
    "refresh": refreshing.refresh_command,
    "use": refreshing.use_command,
    "diff": refreshing.diff_command,
    "gc": refreshing.gc_command,
    "compact": refreshing.compact_command,
    "crawl": crawling.crawl_command,
    "summary": checking.summary_command,
    "stats": checking.stats_command,
    "verify": checking.verify_command,
    "why": records.why_command,
    "dropped": records.dropped_command,
    "ids": records.ids_command,
    "forget": records.forget_command,
    "export": exporting.export_command,
    "featurize": exporting.featurize_command,
    "train-attributes": training.train_attributes_command,
    "doctor": checking.doctor_command,
    "weights": weights.weights_command,
}
"""In the order of `--help`."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main(argv: Sequence[str]) -> int:
    """Run a command; what follows `--` is Beam's."""
    words = list(argv)
    cut = words.index("--") if "--" in words else len(words)
    beam_flags[:] = words[cut + 1 :]
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    silence_repetitions()
    logging.getLogger().addFilter(lambda record: "apitools" not in record.getMessage())  # Beam's, of no use here
    many = {"--dumps", "--posts", "--set", "--reason", "--retry-reason", "--feature", "--split"}
    if words[:1] == ["diff"]:  # one feature, and two fingerprints behind it
        many.remove("--feature")
    return run(app, words[:cut], many=many, known=told_by_stage)


@app.callback()
def _about() -> None:
    """Tweet dumps in, a dataset of posts and image features out.

    \b
    python -m pipeline build --dumps 'raw/*.jsonl.gz' --images raw/images --dataset data/tw
    python -m pipeline stats --dataset data/tw
    python -m pipeline verify --dataset data/tw
    """
