"""The posts of events that the table of pictures was measured on, as a dump.

    python -m benchmarks.events FOLDER/manifest.jsonl --out events.jsonl

FOLDER holds tweets of the image-verification-corpus with their pictures: lines with `id`, `text`, `hashtags`, `file`
and `created_at`. Of these the dump has the first 15 of each JPEG, a text once, addresses aside. Hashtags of too many
tweets are taken out of the texts, because they name the event alone; so are tweets that have no other one.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

A_PICTURE = 15
"""Tweets of a picture, at most: one has 714."""
MOST = 121
"""Tweets of a hashtag, at most."""
JPEG = (".jpg", ".jpeg")

Tweet = dict[str, Any]


def tweets_of(manifest: Path) -> list[Tweet]:
    """All tweets of the manifest. JSON's lines end at line feeds alone: a text may hold U+2028."""
    with manifest.open(encoding="utf-8") as lines:
        tweets = [json.loads(line) for line in lines]
    for tweet in tweets:
        tweet["text"] = tweet["text"].replace("\\n", "\n")  # so the corpus writes line breaks
    return tweets


def few_a_picture(tweets: Iterable[Tweet]) -> Iterator[Tweet]:
    """The first tweets of each JPEG, without those whose text was there before."""
    texts: set[str] = set()
    shown: Counter[str] = Counter()
    for tweet in tweets:
        text = re.sub(r"https?:\S+", "", tweet["text"]).strip().lower()
        if not tweet["file"].endswith(JPEG) or text in texts:
            continue
        texts.add(text)
        if shown[tweet["file"]] < A_PICTURE:
            shown[tweet["file"]] += 1
            yield tweet


def events(tweets: Iterable[Tweet]) -> Iterator[Tweet]:
    """Records of a dump."""
    chosen = list(few_a_picture(tweets))
    counts = Counter(tag for tweet in chosen for tag in {tag.lower() for tag in tweet["hashtags"]})
    common = {tag for tag, number in counts.items() if number > MOST}
    for tweet in chosen:
        text = re.sub(r"#(\w+)", lambda tag: "" if tag[1].lower() in common else tag[0], tweet["text"])
        if any(tag.lower() not in common for tag in tweet["hashtags"]):
            image, created = tweet["file"], tweet["created_at"]
            yield {"id": tweet["id"], "text": text, "image": image, "created_at": created}


def main() -> None:
    """Write the dump."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    tweets = tweets_of(given.manifest)
    records = [json.dumps(record) for record in events(tweets)]
    given.out.write_text("".join(f"{record}\n" for record in records), encoding="utf-8")
    print(f"{len(records)} of {len(tweets)} tweets")


if __name__ == "__main__":
    main()
