"""Posts to look at: what several systems predict (Figure 7), and what the full model looks at (Figure 8)."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from m3h.model.runs.run import Run
from m3h.model.scoring.metrics import clean_predictions, clean_targets, match
from m3h.model.scoring.predictions import Record
from m3h.model.study.attention_page import PAGE, draw_attentions, image_of, readable_picture
from m3h.model.study.overlay import open_picture
from m3h.model.study.pages import file_name, shaded, write_page
from m3h.model.text.stemming import is_present, stem, stem_phrase
from m3h.schemas.dataset import Dataset
from m3h.schemas.errors import UsageError
from m3h.schemas.files import publish_bytes, read_json

SHOWN = 4
"""Posts that are chosen where none are given."""
Records = Mapping[str, Sequence[Record]]
"""System -> its predictions of the same posts, in the same order; the full model is the last."""


def _is_right(record: Record) -> bool:
    """Whether the first phrase is a keyphrase."""
    found = match(clean_predictions(record.phrases[:1]), clean_targets(record.keyphrases)).r
    return any(found)


def _is_absent(record: Record) -> bool:
    text = f" {' '.join(map(stem, record.tokens))} "
    return not is_present(stem_phrase(record.phrases[0]), text)


def chosen_posts(records: Records, wanted: Sequence[str]) -> list[int]:
    """The numbers of the wanted posts, or of those that say most.

    These are, in this order and at most SHOWN: posts whose keyphrase the full model alone puts first, those that it
    puts first though the text does not have them, those that it puts first, and the first posts.

    Args:
        records: of one split.
        wanted: ids of posts; none to choose.

    Raises:
        UsageError: there is no such post.
    """
    *others, full = records.values()
    if wanted:
        number = {record.post_id: i for i, record in enumerate(full)}
        if missing := [post for post in wanted if post not in number]:
            raise UsageError(f"--post: no post '{missing[0]}' in the test split.")
        return [number[post] for post in wanted]
    right = [i for i, record in enumerate(full) if _is_right(record)]
    alone = [i for i in right if others and not any(_is_right(other[i]) for other in others)]
    absent = [i for i in right if _is_absent(full[i])]
    return list(dict.fromkeys([*alone, *absent, *right, *range(len(full))]))[:SHOWN]


def draw_cases(records: Records, numbers: Sequence[int], dataset: Dataset, *, out: Path) -> dict[str, Any]:
    """Write `out`/fig7.html with the predictions of every system for these posts, and return what it shows."""
    posts, full = [], list(records.values())[-1]
    for number in numbers:
        own = full[number]
        gold = {stem_phrase(phrase) for phrase in own.keyphrases}
        predictions = {
            system: [(p.phrase, stem_phrase(p.phrase) in gold) for p in of_system[number].predictions]
            for system, of_system in records.items()
        }
        picture, without = copied_picture(dataset, own.post_id, out)
        shown = {"picture": picture, "without": without, "predictions": predictions}
        posts.append({**own.model_dump(include={"post_id", "tokens", "keyphrases", "ocr", "attributes"}), **shown})
    write_page(out / "fig7.html", "cases.html.jinja", title="What the systems predict (Figure 7)", posts=posts)
    return {"posts": [post["post_id"] for post in posts], "page": str(out / "fig7.html")}


def copied_picture(dataset: Dataset, post_id: str, out: Path) -> tuple[str, str]:
    """The name of a small copy of a post's picture in `out`, or "" and why there is none."""
    picture, without = readable_picture(dataset, image_of(dataset, post_id))
    if picture is None:
        return "", without
    name = f"{file_name(post_id)}.jpg"
    data = io.BytesIO()
    open_picture(picture).save(data, "JPEG", quality=82)
    publish_bytes(out / name, data.getvalue())
    return name, ""


def draw_further(run: Run, dataset: Dataset, post_ids: Sequence[str], *, out: Path) -> dict[str, Any]:
    """Write `out`/fig8.html: the mean attention of every pair in each post, with a link to the post's own page."""
    places = {post_id: out / file_name(post_id) for post_id in post_ids}
    posts = []
    for drawn, place in zip(draw_attentions(run, dataset, places), places.values(), strict=True):
        stored = read_json(place / "attention.json")
        pairs = [_mean(place, pair, attention) for pair, attention in stored["attention"].items()]
        right = {stem_phrase(phrase) for phrase in stored["keyphrases"]}
        phrases = [(phrase["phrase"], stem_phrase(phrase["phrase"]) in right) for phrase in stored["phrases"]]
        has = (place / "picture.png").is_file()
        posts.append({**drawn, "folder": place.name, "has_picture": has, "phrases": phrases, "pairs": pairs})
    write_page(
        out / "fig8.html", "further.html.jinja", title="What the model looks at (Figure 8)", posts=posts, page=PAGE
    )
    return {"posts": list(places), "page": str(out / "fig8.html")}


def _mean(place: Path, pair: str, attention: Mapping[str, Any]) -> dict[str, Any]:
    weights_m = np.array(attention["weights"]).mean((0, 1))
    is_drawn = (place / f"{pair}-mean.png").is_file()
    return {
        "title": pair.replace("_", " "),
        "file": f"{place.name}/{pair}-mean.png" if is_drawn else "",
        "words": [] if is_drawn else shaded(attention["memory"], weights_m),
    }
