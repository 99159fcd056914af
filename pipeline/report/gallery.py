"""The gallery of a dataset report: its posts and dropped records as files that the page loads in parts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from m3h.pipeline.records.reasons import explained
from m3h.schemas.dataset import Dataset
from m3h.schemas.page.pictures import Pictures
from m3h.schemas.page.scripts import Names, Row, parts, write_index, write_part, write_search
from m3h.schemas.shards import KEY

HAS = ("picture", "words in it", "objects", "attributes", "description by the author", "marked as sensitive")
"""What a post may have beside its text. A bit each, in this order."""

LONGEST_DETAIL = 2_000
"""Characters of a dropped record's detail, which may be a traceback."""


def write_posts(folder: Path, data: Dataset, pictures: Pictures, sizes: Mapping[str, tuple[int, int]]) -> list[Row]:
    """Write the files of the posts, and return the posts, in the order in which the page has them.

    Args:
        folder: Of the files.
        data: The dataset.
        pictures: What is known of the pictures.
        sizes: Width and height of those that have a thumbnail.
    """
    columns = [
        "post_id",
        "text",
        "tokens",
        "keyphrases",
        KEY,
        "split",
        "group",
        "lang",
        "created_at",
        "alt",
        "sensitive",
    ]
    posts = data.posts.select(columns).to_pylist()
    splits, languages, phrases, shown = Names(), Names(), Names(), Names()
    index: dict[str, list[Any]] = {"split": [], "lang": [], "phrases": [], "has": [], "picture": []}
    for post in posts:
        index["split"].append(splits.number(post["split"]))
        index["lang"].append(languages.number(post["lang"] or "not stated"))
        index["phrases"].append([phrases.number(phrase) for phrase in post["keyphrases"]])
        index["has"].append(_has(post, pictures, sizes))
        index["picture"].append(shown.number(post[KEY]))
    names = {"splits": list(splits.numbers), "langs": list(languages.numbers), "names": list(phrases.numbers)}
    write_index(folder, "posts", {**index, **names, "number": len(posts)})
    texts = [" ".join((post["post_id"], post["text"], *post["keyphrases"], post["alt"] or "")) for post in posts]
    read = [" ".join(pictures.readings.get(image, {}).get("words") or ()) for image in shown.numbers]
    found = {"texts": [text.lower() for text in texts], "pictures": [text.lower() for text in read]}
    write_search(folder, "posts", found)
    for number, part in parts(posts):
        facts = {image: pictures.shown(image, sizes) for image in dict.fromkeys(post[KEY] for post in part)}
        write_part(folder, "posts", number, {"records": part, "pictures": facts})
    return posts


def write_dropped(folder: Path, data: Dataset, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Write the files of the dropped records. One has a picture where it is known which, and it is stored."""
    rows = data.dropped.sort_by([("source", "ascending"), ("position", "ascending")]).to_pylist()
    found = data.found.select(["post_id", KEY]).to_pylist()
    picture_of = {row["post_id"]: row[KEY] for row in found if row[KEY] in sizes}
    reasons = Names()
    index = [reasons.number(f"{row['stage']}: {row['reason']}") for row in rows]
    means = [explained(name.partition(": ")[2]).means for name in reasons.numbers]
    described = {"reason": index, "reasons": list(reasons.numbers), "means": means}
    write_index(folder, "dropped", {**described, "number": len(rows)})
    texts = [f"{row['record_id']} {row['source']} {row['detail'][:LONGEST_DETAIL]}".lower() for row in rows]
    write_search(folder, "dropped", {"texts": texts, "pictures": []})
    for number, part in parts(rows):
        shown = [_dropped(row, picture_of) for row in part]
        images = {row[KEY]: {"size": sizes[row[KEY]]} for row in shown if row[KEY]}
        write_part(folder, "dropped", number, {"records": shown, "pictures": images})


def _has(post: Row, pictures: Pictures, sizes: Mapping[str, tuple[int, int]]) -> int:
    image = post[KEY]
    having = (
        image in sizes,
        bool(pictures.readings.get(image, {}).get("words")),
        bool(pictures.objects.get(image)),
        bool(pictures.attributes.get(image)),
        bool(post["alt"]),
        bool(post["sensitive"]),
    )
    return sum(1 << bit for bit, has in enumerate(having) if has)


def _dropped(row: Row, picture_of: Mapping[str, str]) -> Row:
    names = ("record_id", "stage", "reason", "source", "position")
    shown = {name: row[name] for name in names}
    return {**shown, "detail": row["detail"][:LONGEST_DETAIL], KEY: picture_of.get(row["record_id"], "")}


def pictures_of(posts: Iterable[Row], data: Dataset) -> list[str]:
    """The pictures that the page may show, sorted: of posts, and of dropped records where it is known which."""
    stored = {row[KEY] for row in data.images.select([KEY, "status"]).to_pylist() if row["status"] == "stored"}
    return sorted(stored.intersection([*(post[KEY] for post in posts), *data.found[KEY].to_pylist()]))
