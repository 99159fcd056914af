"""The files that are made from the manifest alone at each change: card.md and croissant.json.

The manifest does not list them: they may be edited, or absent.
"""

import logging
from pathlib import Path

from m3h.pipeline.dataset.card import CARD, MAX_BYTES, about, card_of
from m3h.pipeline.dataset.croissant import CROISSANT, croissant
from m3h.schemas.files import publish_json, publish_text
from m3h.schemas.inside import file_in
from m3h.schemas.manifest import Manifest

log = logging.getLogger(__name__)

DERIVED = (CARD, CROISSANT)
"""Not hashed, and never needed to read the dataset."""


def write_derived(dataset: Path, manifest: Manifest) -> None:
    """Write both files of a dataset whose manifest is about to be written: what is killed in between is done again.

    A card without the marks of ours stays as it is, and croissant.json takes name and licence from it.
    """
    known = _known_card(file_in(dataset, CARD))
    made = card_of(manifest, known)
    if made is None:
        log.warning("note: %s is not one that m3h wrote, so it was left as it is.", file_in(dataset, CARD))
    elif made != known:
        publish_text(file_in(dataset, CARD), made)
    publish_json(file_in(dataset, CROISSANT), croissant(manifest, about=about(made or known)))


def _known_card(path: Path) -> str | None:
    """The card that is there, "" for one that is no text or far too long. None where there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        return data.decode("utf-8") if len(data) <= MAX_BYTES else ""
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
