"""`serve`."""

import logging
from typing import Annotated

import typer

from m3h.model.commands.options import AsJson, DatasetSettings, LikeDataset, RunFolder
from m3h.model.commands.progress import show_progress
from m3h.schemas.console import say
from m3h.schemas.programs import Extra

logger = logging.getLogger(__name__)
app = typer.Typer()

EXTRA = Extra("serve", ("anyio", "starlette", "uvicorn"))
HOST = "127.0.0.1"


@app.command(
    short_help="A page to try a run on a post with its picture.",
    help="""\b
  m3h serve runs/full
  m3h serve runs/full --port 8080 --like data/tw

Serves a page on this machine alone: write a post, drop a picture, and see its keyphrases with scores and origins, what
was read and seen in the picture, where attention lies, and what changes without a modality. POST /predict answers
programs; /openapi.json describes it. Texts and pictures are read as those of the run's dataset were, see `predict`.
Nothing that is sent is kept. Ctrl-C ends it.
""",
)
def serve(
    run: RunFolder,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8765,
    *,
    like: LikeDataset = None,
    set_: DatasetSettings = None,
    as_json: AsJson = False,
) -> None:
    """Serve a run until it is interrupted.

    Args:
        run: folder of a finished run.
        port: of this machine.
        like: where the dataset of the run is now.
        set_: settings over the configuration of this dataset.
        as_json: print the address as JSON.

    Raises:
        UsageError: there is no finished run, something is missing, or the port is taken.
    """
    EXTRA.require("serve")
    from m3h.model.api import load
    from m3h.model.serving.server import bound_socket, serve_until_interrupted

    listening = bound_socket(HOST, port)
    with listening:
        for _ in show_progress([run], f"loading {run}"):
            predictor = load(run, dataset=like, sets=set_ or ())
            notes = predictor.reader.notes  # opened before anything is served: what is missing is said now
        for note in notes:
            logger.warning(f"note: {note}")
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        say({"run": str(run), "address": address}, as_json, f"{run} is served at {address} (Ctrl-C ends it)")
        serve_until_interrupted(predictor, str(run), listening)
