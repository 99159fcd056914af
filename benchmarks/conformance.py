"""How many cases of Twitter's own conformance suite our extractor passes.

    python -m benchmarks.conformance FOLDER

FOLDER holds `extract.json` and `tlds.json` of twitter-text's JSON conformance suite.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from m3h.pipeline.text import entities
from m3h.pipeline.text.entities import Entity

Cases = list[dict[str, Any]]


def _values(found: list[Entity]) -> list[str]:
    return [entity.value for entity in found if entity.kind != entities.LIST]


def _placed(name: str) -> Callable[[list[Entity]], list[dict[str, Any]]]:
    return lambda found: [{name: entity.value, "indices": [entity.start, entity.end]} for entity in found]


def _lists(found: list[Entity]) -> list[dict[str, Any]]:
    parts = [(entity, *entity.value.partition("/")) for entity in found]
    return [
        {"screen_name": user, "list_slug": slash + name, "indices": [entity.start, entity.end]}
        for entity, user, slash, name in parts
    ]


def _reply(text: str) -> str | None:
    first = entities.mentions(text)[:1]
    return first[0].value if first and not text[: first[0].start].strip() else None


ANSWERS: dict[str, Callable[[str], Any]] = {
    "hashtags": lambda text: _values(entities.hashtags(text)),
    "hashtags_from_astral": lambda text: _values(entities.hashtags(text)),
    "hashtags_with_indices": lambda text: _placed("hashtag")(entities.hashtags(text)),
    "mentions": lambda text: _values(entities.mentions(text)),
    "mentions_with_indices": lambda text: _placed("screen_name")(entities.mentions(text)),
    "mentions_or_lists_with_indices": lambda text: _lists(entities.mentions(text)),
    "replies": _reply,
    "urls": lambda text: _values(entities.urls(text)),
    "urls_with_indices": lambda text: _placed("url")(entities.urls(text)),
    "urls_with_directional_markers": lambda text: _placed("url")(entities.urls(text)),
    "tco_urls_with_params": lambda text: _values(entities.urls(text)),
    "cashtags": lambda text: _values(entities.cashtags(text)),
    "cashtags_with_indices": lambda text: _placed("cashtag")(entities.cashtags(text)),
    "country": lambda text: _values(entities.urls(text)),
    "generic": lambda text: _values(entities.urls(text)),
}
"""Our answer to the cases of each group, in the suite's form."""


def groups(folder: Path) -> dict[str, Cases]:
    """Every group of the suite's extraction and top-level domain cases."""
    files = [json.loads((folder / name).read_text(encoding="utf-8")) for name in ("extract.json", "tlds.json")]
    return {group: cases for file in files for group, cases in file["tests"].items()}


def failures(folder: Path) -> dict[str, Cases]:
    """The cases of each group to which our answer is another. A group that we have no answer to fails whole."""
    wrong = lambda group, case: group not in ANSWERS or ANSWERS[group](case["text"]) != case["expected"]  # noqa: E731
    return {group: [case for case in cases if wrong(group, case)] for group, cases in groups(folder).items()}


def main(folder: Path) -> None:
    """Print the table."""
    failed, passed, total = failures(folder), 0, 0
    for group, cases in groups(folder).items():
        passed, total = passed + len(cases) - len(failed[group]), total + len(cases)
        print(f"{group:32} {len(cases) - len(failed[group]):5} of {len(cases):5}")
        for case in failed[group]:
            print(f"    {case['description']}: {case['text']!r}: expected {case['expected']!r}")
    print(f"{'all':32} {passed:5} of {total:5}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
