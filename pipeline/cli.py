"""`python -m m3h.pipeline`: the dataset commands. Beam's own flags follow `--`."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from m3h.pipeline.commands import attributes, build, checks, crawl, export, inspect, records, report, versions, weights
from m3h.pipeline.commands.options import beam_flags
from m3h.pipeline.runtime.runner_errors import silence_repetitions, stage_fault
from m3h.schemas.console import run

if TYPE_CHECKING:
    from m3h.schemas.posts import PostReader
from m3h.schemas.programs import Extra, Program

COMMANDS: dict[str, tuple[Callable[..., int], str]] = {
    "build": (build.build_command, "Raw dumps -> a complete dataset."),
    "inspect": (inspect.inspect_command, "What dumps are, and how they would be read."),
    "retry": (build.retry_command, "Try again only what failed."),
    "plan": (versions.plan_command, "What refresh would compute, why, and how long it takes."),
    "refresh": (versions.refresh_command, "Do what plan announces, and nothing else."),
    "use": (versions.use_command, "Make another version of a feature current."),
    "diff": (versions.diff_command, "How far a feature's rows changed between two versions."),
    "gc": (versions.gc_command, "Remove versions of features that are not current."),
    "compact": (versions.compact_command, "Rewrite a dataset as one build would have written it."),
    "crawl": (crawl.crawl_command, "Image URLs -> a folder of pictures."),
    "summary": (checks.summary_command, "What the last run did, and how fast."),
    "stats": (checks.stats_command, "The paper's Table 1 for this dataset."),
    "report": (report.report_command, "A page to look at: figures, charts, and every post."),
    "verify": (checks.verify_command, "Hash every file again and check every law."),
    "why": (records.why_command, "What became of a record or a picture."),
    "dropped": (records.dropped_command, "The dropped records, and why."),
    "ids": (records.ids_command, "The ids of the posts, to share them."),
    "forget": (records.forget_command, "Remove posts for good."),
    "export": (export.export_command, "Write a dataset in the formats of other systems."),
    "featurize": (export.featurize_command, "New posts -> a dataset that a trained model can read."),
    "train-attributes": (attributes.train_attributes_command, "Captioned pictures -> the head of `attributes`."),
    "doctor": (checks.doctor_command, "What works on this machine."),
    "weights": (weights.weights_command, "Weights that you bring along."),
}
"""The commands in the order of `--help`, each with its line there."""

EXTRA = Extra(
    "pipeline",
    (
        *("aiohttp", "apache_beam", "datasketch", "ekphrasis", "imagehash", "jmespath", "libipld", "nltk"),
        *("phonenumbers", "PIL", "protego", "psutil", "py3langid", "pytesseract", "regex", "safetensors", "scipy"),
        *("torch", "torchvision", "wordfreq", "wordsegment", "zstandard"),
    ),
)

LIGHT = frozenset({"report", "stats", "summary", "verify", "why", "dropped", "ids", "diff", "plan"})
"""Commands that only read a finished dataset. They need neither Beam nor Tesseract nor torch."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
for _name, (_command, _line) in COMMANDS.items():
    app.command(_name, short_help=_line)(_command)


def main(argv: Sequence[str]) -> int:
    """Run a command. Beam gets the words after `--`."""
    words = list(argv)
    cut = words.index("--") if "--" in words else len(words)
    beam_flags[:] = words[cut + 1 :]
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    silence_repetitions()
    logging.getLogger().addFilter(lambda record: "apitools" not in record.getMessage())  # from Beam; of no use here
    multiple = {"--dumps", "--posts", "--set", "--reason", "--retry-reason", "--feature", "--split"}
    if words[:1] == ["diff"]:  # one feature, and two fingerprints after it
        multiple.remove("--feature")
    return run(app, words[:cut], many=multiple, known=stage_fault, extra=EXTRA, light=LIGHT)


@app.callback()
def _about() -> None:
    """Tweet dumps in, a dataset of posts and image features out.

    \b
    m3h build --dumps 'raw/*.jsonl.gz' --images raw/images --dataset data/tw
    m3h stats --dataset data/tw
    m3h verify --dataset data/tw
    """


def open_reader(dataset: Path, features: Mapping[str, str], sets: Sequence[str]) -> "PostReader":
    """See `m3h.pipeline.online.reader`. Nothing heavy is imported before it is called."""
    from m3h.pipeline.online.reader import OnlineReader

    return OnlineReader(dataset, features, sets)


PROGRAM = Program("Dataset commands", app, main, EXTRA, open_reader=open_reader)
