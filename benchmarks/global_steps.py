"""The three decisions that one process takes over all posts at once, alone: time and memory as posts grow.

    python -m benchmarks.global_steps --posts 30000 100000 300000
    python -m benchmarks.global_steps --posts 100000 300000 --rounds 4     # what is left for one process after rounds

rare hashtags: the fixed point; groups: connected components over shared pictures, texts and links; near texts: MinHash
keys and the pairs that share one. Of made posts, their traits taken as a build takes them. Time and memory are measured
in two processes of their own; memory is the peak of what Python allocated, traits included.

With --rounds, hashtags and groups are contracted first, as `execution.global_steps=rounds` does it on many workers, and
told is what each round leaves and what the one process that does the rest needs.
"""

import argparse
import multiprocessing
import pickle
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

from benchmarks.dumps import records
from m3h.pipeline.cleaning.candidates import candidates
from m3h.pipeline.cleaning.components import Edge, components, contracted, label, node, star
from m3h.pipeline.cleaning.groups import groups, image_trait, text_trait
from m3h.pipeline.cleaning.hashtag_rounds import HashtagCount, OpenList, added, is_rare, is_safe, still_open
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


def shared_by(posts: list[Post]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Traits by record, and every fiftieth text linked with the next."""
    traits: dict[str, Any] = {}
    names = []
    for i, post in enumerate(posts):
        names.append(text_trait(text_name(post.text)))
        key, age = f"detected:dump-00000.jsonl\t{i}", (int(post.post_id), post.post_id, "detected:dump-00000.jsonl", i)
        traits[key] = (age, [image_trait(text_name(post.images[0].url if post.images else key)), names[-1]])
    return traits, list(zip(names[::50], names[1::50], strict=False))


def union(posts: list[Post]) -> Any:
    """The groups."""
    return groups(*shared_by(posts))


def near(posts: list[Post]) -> Any:
    """Keys of all texts, and the pairs that share one."""
    keys, places = TextLikeness(0.65).keys([post.text for post in posts])
    return candidates(keys, places.astype("uint64"))


STEPS: dict[str, Callable[[list[Post]], Any]] = {"rare hashtags": rare, "groups": union, "near texts": near}


def open_lists(posts: list[Post]) -> dict[bytes, OpenList]:
    """The lists of hashtags before the first round."""
    lists = Counter(tuple(sorted(set(post.hashtags))) for post in posts)
    return {repr(tags).encode(): OpenList(number, tags) for tags, number in lists.items()}


def next_lists(lists: dict[bytes, OpenList]) -> dict[bytes, OpenList]:
    """Those that a round leaves open."""
    counts: dict[str, HashtagCount] = {}
    for name, one in lists.items():
        for tag in one.hashtags:
            more = (one.posts, one.support(LEAST), [name])
            counts[tag] = added(counts.get(tag, (0, 0, [])), more, LEAST)
    rare = {tag for tag, count in counts.items() if is_rare(count, LEAST)}
    safe = {tag for tag, count in counts.items() if is_safe(count, LEAST)}
    staying = ((name, one) for name, one in lists.items() if rare.isdisjoint(one.hashtags))
    return {name: left for name, one in staying if (left := still_open(one, safe))}


def rest_of_lists(lists: dict[bytes, OpenList]) -> Any:
    """What the one process decides."""
    numbers = {name: one.posts for name, one in lists.items()}
    return rare_posts({name: one.hashtags for name, one in lists.items()}, LEAST, numbers)


def open_edges(posts: list[Post]) -> list[Edge]:
    """The edges between records before the first round."""
    traits, links = shared_by(posts)
    holders: dict[str, list[bytes]] = {}
    for key, (_, shared) in traits.items():
        for trait in shared:
            holders.setdefault(trait, []).append(node(key))
    edges = [edge for nodes in holders.values() for edge in star(nodes)]
    return edges + [(holders[one][0], holders[other][0]) for one, other in links if one != other]


def next_edges(edges: list[Edge]) -> list[Edge]:
    """Those that a round leaves."""
    neighbours: dict[bytes, set[bytes]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    labels = {one: label(one, others) for one, others in neighbours.items()}
    return [edge for one, near in neighbours.items() for edge in contracted(labels[one], [labels[n] for n in near])]


ROUNDS: dict[str, tuple[Callable[[list[Post]], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "lists of hashtags": (open_lists, next_lists, rest_of_lists),
    "edges": (open_edges, next_edges, components),
}


def print_rounds(numbers: list[int], rounds: int) -> None:
    """What is open before and after each round, and the peak of what Python allocates for the rest, with its input."""
    head = " | ".join(f"after {n}" for n in range(1, rounds + 1))
    print(f"| what | posts | at first | {head} | bytes a post for the rest |\n|---|---|---|" + "---|" * (rounds + 1))
    for what, (first, following, rest) in ROUNDS.items():
        for number in numbers:
            left = first(posts_of(number))
            sizes = [len(left)]
            for _ in range(rounds):
                left = following(left)
                sizes.append(len(left))
            packed = pickle.dumps(left)
            del left
            tracemalloc.start()
            rest(pickle.loads(packed))  # noqa: S301  our own, a line above
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            print(f"| {what} | {number:,} | {' | '.join(f'{n:,}' for n in sizes)} | {peak / number:,.1f} |", flush=True)


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
    parser.add_argument("--rounds", type=int, default=0)
    options = parser.parse_args()
    if options.rounds:
        print_rounds(options.posts, options.rounds)
        return
    print("| step | posts | CPU s | µs a post | bytes a post |\n|---|---|---|---|---|")
    for step in STEPS:
        for number in options.posts:
            seconds, grown = (_of_its_own(step, number, memory) for memory in (False, True))
            row = f"{number:,} | {seconds:.1f} | {1e6 * seconds / number:.0f} | {grown / number:,.0f}"
            print(f"| {step} | {row} |", flush=True)


if __name__ == "__main__":
    main()
