"""The three decisions that one process takes over all posts at once, alone: time and memory as posts grow.

    python -m benchmarks.global_steps --posts 30000 100000 300000

rare hashtags: the fixed point; groups: connected components over shared pictures, texts and links; near texts: MinHash
keys and the pairs that share one. Of made posts, their traits taken as a build takes them. Time and memory are measured
in two processes of their own; memory is the peak of what Python allocated, traits included.
"""

import argparse
import multiprocessing
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks.dumps import records
from m3h.pipeline.cleaning.candidates import candidates
from m3h.pipeline.cleaning.groups import groups, image_trait, text_trait
from m3h.pipeline.cleaning.minhash import TextLikeness, text_name
from m3h.pipeline.cleaning.rare_hashtags import rare_posts
from m3h.pipeline.readers.formats import read_records
from m3h.schemas.posts import Post

LEAST = 10


def posts_of(number: int) -> list[Post]:
    """As many made posts."""
    found = [r for line in records(number * 2) for r in read_records(line, "v1") if isinstance(r, Post)]
    return found[:number]


def rare(posts: list[Post]) -> Any:
    """Hashtags by record, and which records go."""
    hashtags = {f"detected:dump-00000.jsonl\t{i}": tuple(map(str, post.hashtags)) for i, post in enumerate(posts)}
    return rare_posts(hashtags, LEAST)


def union(posts: list[Post]) -> Any:
    """Traits by record, every fiftieth text linked with the next, and the groups."""
    traits: dict[str, Any] = {}
    names = []
    for i, post in enumerate(posts):
        names.append(text_trait(text_name(post.text)))
        key, age = f"detected:dump-00000.jsonl\t{i}", (int(post.post_id), post.post_id, "detected:dump-00000.jsonl", i)
        traits[key] = (age, [image_trait(text_name(post.images[0].url if post.images else key)), names[-1]])
    links = list(zip(names[::50], names[1::50], strict=False))
    return groups(traits, links)


def near(posts: list[Post]) -> Any:
    """Keys of all texts, and the pairs that share one."""
    keys, places = TextLikeness(0.65).keys([post.text for post in posts])
    return candidates(keys, places.astype("uint64"))


STEPS: dict[str, Callable[[list[Post]], Any]] = {"rare hashtags": rare, "groups": union, "near texts": near}


def _measured(step: str, number: int, memory: bool, answers: Any) -> None:
    posts = posts_of(number)
    STEPS[step](posts[:100])  # imports
    if memory:
        tracemalloc.start()
    started = time.process_time()
    STEPS[step](posts)
    answers.put(tracemalloc.get_traced_memory()[1] if memory else time.process_time() - started)


def _of_its_own(step: str, number: int, memory: bool) -> float:
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    process = spawn.Process(target=_measured, args=(step, number, memory, answers))
    process.start()
    found = float(answers.get())
    process.join()
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[30_000, 100_000, 300_000])
    options = parser.parse_args()
    print("| step | posts | CPU s | µs a post | bytes a post |\n|---|---|---|---|---|")
    for step in STEPS:
        for number in options.posts:
            seconds, grown = (_of_its_own(step, number, memory) for memory in (False, True))
            row = f"{number:,} | {seconds:.1f} | {1e6 * seconds / number:.0f} | {grown / number:,.0f}"
            print(f"| {step} | {row} |", flush=True)


if __name__ == "__main__":
    main()
