"""Make the sample: `python -m sample.make [--out sample]`. One seed and one set of library versions: the same bytes."""

import argparse
import gzip
import itertools
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3h.sample import records
from m3h.sample.drafts import DUMPS, Draft, Writer, kept_drafts, short_code
from m3h.sample.draw import stream
from m3h.sample.faults import NOT_JSON, NOT_JSON_LINES, dropped_drafts

SEED = 2020
FILES = {"v1": "dump_v1.jsonl.gz", "plain": "dump_plain.jsonl"}
START_MS = 1546848000000
"""Of the first post: 7 January 2019, 8:00 UTC."""
QUOTES = 6


@dataclass(frozen=True)
class Entry:
    """A draft that got its place in a dump. names: of its pictures' files."""

    draft: Draft
    post_id: int
    dump: str
    names: list[str]


def entries_of(seed: int) -> list[Entry]:
    """All records in order of time; doubles come after everything they may double."""
    writer = Writer(seed)
    kept = kept_drafts(writer)
    dropped = dropped_drafts(writer, kept)
    rng = stream(seed, "order")
    singles = kept + [draft for draft in dropped if not draft.same_as]
    rng.shuffle(singles)
    moment, entries, either = START_MS, [], itertools.cycle(DUMPS[::-1])
    for place, draft in enumerate(singles + [draft for draft in dropped if draft.same_as]):
        moment += rng.randint(60_000, 14_400_000)
        dump = draft.dump or next(either)
        names = [_name(rng, dump, place, number) for number in range(len(draft.pictures))]
        entries.append(Entry(draft, records.status_id(rng, moment), dump, names))
    return entries


def _name(rng: random.Random, dump: str, place: int, number: int) -> str:
    return f"E{short_code(rng, 14)}.jpg" if dump == "v1" else f"photo_{place:04d}{'ab'[number] if number else ''}.jpg"


def write_images(entries: list[Entry], folder: Path) -> None:
    """Every picture that is not meant to be missing; a retweet shows its original's file."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        for name, data in zip(entry.names, entry.draft.pictures, strict=True):
            if data is not None and entry.draft.fate != "retweet":
                (folder / name).write_bytes(data)


def dump_records(entries: list[Entry], seed: int, dump: str) -> list[dict[str, Any]]:
    """The records of one dump, in order."""
    mine = [entry for entry in entries if entry.dump == dump]
    by_text = {entry.draft.text: entry for entry in reversed(mine)}
    rng = stream(seed, "quotes")
    quotes = set(rng.sample([e.post_id for e in mine if e.draft.fate == "kept"], QUOTES)) if dump == "v1" else set()
    made: dict[int, dict[str, Any]] = {}
    for entry in mine:
        original = by_text[entry.draft.same_as] if entry.draft.same_as else entry
        rng = stream(seed, "record", entry.post_id)
        if dump == "plain":
            record = _plain(rng, entry, original)
        elif entry.draft.fate == "retweet":
            record = records.retweet(rng, made[original.post_id], entry.post_id)
        else:
            record = records.status(rng, entry.draft, entry.post_id, entry.names, compat=rng.random() < 0.5)
        made[entry.post_id] = records.quoting(rng, record) if entry.post_id in quotes else record
    return list(made.values())


def _plain(rng: random.Random, entry: Entry, original: Entry) -> dict[str, Any]:
    if entry.draft.fate != "retweet":
        return records.plain(rng, entry.draft, entry.post_id, entry.names)
    record = records.plain(rng, original.draft, entry.post_id, original.names)
    return {**record, "text": f"RT @someone: {record['text']}"}


def expected(entries: list[Entry]) -> dict[str, Any]:
    """What must become of every record; see the README."""
    kept = [entry for entry in entries if entry.draft.fate == "kept"]
    fates = Counter(entry.draft.fate for entry in entries if entry.draft.fate != "kept")
    families = Counter(entry.draft.topic.family for entry in kept)
    return {
        "records": {FILES[dump]: sum(entry.dump == dump for entry in entries) + 1 for dump in FILES},
        "kept": {"total": len(kept), **families},
        "kept_by_dump": {FILES[dump]: sum(entry.dump == dump for entry in kept) for dump in FILES},
        "dropped": dict(sorted({**fates, "not_json": NOT_JSON_LINES}.items())),
        "keyphrases": dict(sorted(Counter(phrase for entry in kept for phrase in entry.draft.keyphrases).items())),
        "posts": {str(entry.post_id): _expected_post(entry) for entry in kept},
        "dropped_posts": {str(entry.post_id): entry.draft.fate for entry in entries if entry.draft.fate != "kept"},
    }


def _expected_post(entry: Entry) -> dict[str, Any]:
    draft = entry.draft
    post: dict[str, Any] = {"family": draft.topic.family, "keyphrases": draft.keyphrases, "image": entry.names[0]}
    if draft.inline:
        post["inline"] = True
    if draft.poster:
        post["poster"] = draft.poster
    return post


def json_lines(made: list[dict[str, Any]]) -> bytes:
    """One record a line, with a broken line in the middle."""
    lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in made]
    lines.insert(len(lines) // 2, NOT_JSON)
    return ("\n".join(lines) + "\n").encode()


def readable(value: dict[str, Any]) -> str:
    """JSON with one line for each entry of the two outer levels."""
    blocks = []
    for key, inner in value.items():
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in inner.items())
        blocks.append(f" {json.dumps(key)}: {{\n{rows}\n }}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def make(out: Path, seed: int = SEED) -> dict[str, Any]:
    """Write the dumps, the images and expected.json into `out`; returns what is expected."""
    entries = entries_of(seed)
    write_images(entries, out / "images")
    for dump, name in FILES.items():
        data = json_lines(dump_records(entries, seed, dump))
        (out / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    expectation = expected(entries)
    (out / "expected.json").write_text(readable(expectation), encoding="utf-8")
    return expectation


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m sample.make", description="Make the bundled sample anew.")
    parser.add_argument("--out", type=Path, default=Path("sample"), help="folder to write into (default: sample)")
    out = parser.parse_args(argv).out
    expectation = make(out)
    kept, dropped = expectation["kept"]["total"], sum(expectation["dropped"].values())
    print(f"{out}: {kept + dropped} records, {kept} to be kept, {dropped} to be dropped")


if __name__ == "__main__":
    main()
