"""The gallery of a report of runs: posts and what each run predicted, as files that the page loads in parts."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from m3h.model.report.groups import FinishedRun
from m3h.model.report.lineage import Lineage, judged
from m3h.schemas.page.pictures import Pictures
from m3h.schemas.page.scripts import Names, Row, parts, write_index, write_part, write_search
from m3h.schemas.shards import KEY

POST_BITS = ("present", "absent", "picture", "words", "attributes", "unseen")
"""What a post has: present and absent keyphrases, a picture, words in it, attributes; and no share in training."""
RUN_BITS = ("first", "any", "present_found", "absent_found", "present_missed", "absent_missed")
"""What a run found of a post: its first phrase is right, any is; present and absent keyphrases found and missed."""

COLUMNS = ("post_id", "text", "split", "lang", "alt", "sensitive", KEY)


def write_posts(
    folder: Path,
    run: FinishedRun,
    lineage: Lineage,
    *,
    pictures: Pictures,
    sizes: Mapping[str, tuple[int, int]],
    unseen: Collection[str],
) -> None:
    """Write the posts, in the order of the predictions.

    Args:
        folder: of the files.
        run: any of the runs; all have the same posts.
        lineage: of the posts.
        pictures: what is known of the pictures.
        sizes: width and height of those that have a thumbnail.
        unseen: ids of posts that share nothing with training.
    """
    phrases, shown = Names(), Names()
    index: dict[str, list[object]] = {"phrases": [], "has": [], "picture": []}
    rows, texts = [], []
    for record in run.records:
        post = lineage.posts.get(record.post_id, {"post_id": record.post_id, "text": " ".join(record.tokens), KEY: ""})
        gold = judged(record)["keyphrases"]
        image = post[KEY]
        having = (
            *(any(of["present"] for of in gold), any(not of["present"] for of in gold), image in sizes),
            *(bool(record.ocr), bool(record.attributes), record.post_id in unseen),
        )
        index["phrases"].append([phrases.number(phrase) for phrase in record.keyphrases])
        index["has"].append(_bits(having))
        index["picture"].append(shown.number(image))
        made = {name: post[name] for name in COLUMNS if post.get(name)}
        about = {
            "gold": [[of["phrase"], int(of["present"])] for of in gold],
            "ocr": record.ocr,
            "tokens": record.tokens,
        }
        made |= {**about, "attributes": record.attributes}
        made |= {"record": lineage.record(post), "found": lineage.picture(post)} if "source" in post else {}
        rows.append(made)
        texts.append(" ".join((record.post_id, post["text"], *record.keyphrases, *record.tokens)).lower())
    write_index(folder, "posts", {**index, "names": list(phrases.numbers), "number": len(rows)})
    read = [" ".join(pictures.readings.get(image, {}).get("words") or ()).lower() for image in shown.numbers]
    write_search(folder, "posts", {"texts": texts, "pictures": read})
    for number, part in parts(rows):
        images = dict.fromkeys(row[KEY] for row in part if KEY in row)
        known = {image: pictures.shown(image, sizes) for image in images}
        write_part(folder, "posts", number, {"records": part, "pictures": known})


def write_run(folder: Path, number: int, run: FinishedRun, origins: Names) -> None:
    """Write what a run predicted: RUN_BITS of each post, origins of its right phrases, and the phrases in parts.

    Args:
        folder: of the files.
        number: of the run in the report.
        run: the run.
        origins: where phrases come from, of all runs; new ones are added.
    """
    kind = f"run{number}"
    index: dict[str, list[int]] = {"found": [], "origins": []}
    rows: list[Row] = []
    for record in run.records:
        found = judged(record)
        predicted, gold = found["predictions"], found["keyphrases"]
        right = [one for one in predicted if one["right"]]
        states = [(of["present"], bool(of["rank"])) for of in gold]
        bits = (bool(predicted and predicted[0]["right"]), bool(right), (True, True) in states, (False, True) in states)
        index["found"].append(_bits((*bits, (True, False) in states, (False, False) in states)))
        index["origins"].append(sum({1 << origins.number(one["attribution"] or "") for one in right}))
        rows.append(
            {
                "ranks": [of["rank"] for of in gold],
                "predicted": [[one["phrase"], _rounded(one["score"]), one["attribution"] or "", int(one["right"])]
                              for one in predicted],
            }
        )  # fmt: skip
    write_index(folder, kind, {**index, "number": len(rows)})
    for part_number, part in parts(rows):
        write_part(folder, kind, part_number, {"records": part})


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def _bits(having: Sequence[bool]) -> int:
    return sum(1 << bit for bit, has in enumerate(having) if has)
