"""Whether what a dataset holds obeys the rules it was built by: the result itself, not what the build did."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.groups import groups, image_trait, image_traits, text_key, text_trait, text_traits
from pipeline.local_features import PictureLikeness
from pipeline.near import near_pairs
from pipeline.near_texts import TextLikeness, text_name
from pipeline.parts import IMAGE_LIST
from pipeline.publish import columns
from pipeline.rules import CleanRules, SplitRules
from pipeline.stages.clean import text_reason
from pipeline.stages.doors import age
from pipeline.stages.split import split_of
from schemas.manifest import Manifest
from schemas.parquet import read_parquet
from schemas.posts import Post

_COLUMNS = (
    "post_id", "tokens", "hashtags", "image_sha256", "split", "own_split", "group", "lang", "source", "position",
)  # fmt: skip


def disobedience(dataset: Path, manifest: Manifest) -> Iterator[str]:
    """A sentence for every rule that some posts break."""
    posts = [_post(dict(zip(_COLUMNS, row, strict=True))) for row in columns(dataset, "posts", _COLUMNS)]
    clean = CleanRules(**manifest.config.get("clean", {}))
    forgotten = "forgotten" in manifest.counts.get("dropped", {})  # whoever is left keeps its hashtags and its split
    for breach in broken_rules([post for post in posts if not post.own_split], clean, forgotten):
        yield f"{dataset}: {breach}"
    for breach in broken_groups(posts, _places(dataset), clean):
        yield f"{dataset}: {breach}"
    split = SplitRules(**manifest.config.get("split", {}))
    if not forgotten and (wrong := [p for p in posts if not p.own_split and p.split != split_of(p.group, split)]):
        yield f"{dataset}: {_some(wrong)} in another split than split.key, split.valid and split.test say."


def broken_rules(posts: Sequence[Post], rules: CleanRules, forgotten: bool = False) -> Iterator[str]:
    """A sentence for every rule of `clean` that some of the posts break. forgotten: posts have left since the build."""
    counts = Counter(tag for post in posts for tag in post.hashtags)
    checks: list[tuple[str, Callable[[Post], bool]]] = [
        ("clean.min_tokens and clean.max_hashtags", lambda post: text_reason(post, rules) is not None),
        ("clean.languages", lambda post: bool(rules.languages) and post.lang not in rules.languages),
        ("one post an id", _repeated(posts, lambda post: post.post_id)),
    ]
    if rules.unique_texts:
        checks.append(("clean.unique_texts", _repeated(posts, lambda post: text_key(post.tokens))))
    if rules.unique_images:
        checks.append(("clean.unique_images", _repeated(posts, lambda post: post.image_sha256)))
    if not forgotten:
        rare = {tag for tag, count in counts.items() if count < rules.min_hashtag_count}
        checks.append(("clean.min_hashtag_count", lambda post: not rare.isdisjoint(post.hashtags)))
    for name, breaks in checks:
        if wrong := [post for post in posts if breaks(post)]:
            yield f"{_some(wrong)} against {name}."


def broken_groups(posts: Sequence[Post], places: Mapping[str, str], rules: CleanRules) -> Iterator[str]:
    """A sentence where posts that share a picture or a text, or show near ones, are of different groups.

    places: image_sha256 -> what `local_features` found.
    """
    texts = {text_name(text): text for post in posts if (text := text_key(post.tokens))}
    shown = {post.image_sha256: places[post.image_sha256] for post in posts if places.get(post.image_sha256)}
    text_links, image_links = [], []
    if rules.near_text:
        text_links = near_pairs(texts, TextLikeness(rules.near_text))
    if rules.near_images:
        image_links = near_pairs(shown, PictureLikeness(rules.near_images))
    links = [(text_trait(a), text_trait(b)) for a, b in text_links]
    links += [(image_trait(a), image_trait(b)) for a, b in image_links]
    together = groups({str(i): (age(p), [*image_traits(p), *text_traits(p)]) for i, p in enumerate(posts)}, links)
    stated: dict[str, set[str]] = {}
    for i, post in enumerate(posts):
        stated.setdefault(together[str(i)], set()).add(post.group)
    if torn := sorted(group for group, names in stated.items() if len(names) > 1):
        yield f"{len(torn)} groups of near copies, such as that of post {torn[0]}, are divided."
    for rule, asked, found in (
        ("clean.drop_near_texts", rules.drop_near_texts, text_links),
        ("clean.drop_near_images", rules.drop_near_images, image_links),
    ):
        if asked and found and not any(post.own_split for post in posts):
            yield f"{len(found)} pairs against {rule}."


def _post(row: dict[str, Any]) -> Post:
    return Post(text="", **row | {name: tuple(row[name]) for name in ("tokens", "hashtags")})


def _repeated(posts: Sequence[Post], key: Callable[[Post], str]) -> Callable[[Post], bool]:
    counts = Counter(key(post) for post in posts)
    return lambda post: key(post) != "" and counts[key(post)] > 1


def _some(posts: Sequence[Post]) -> str:
    return f"{len(posts)} posts, such as {posts[0].post_id},"


def _places(dataset: Path) -> dict[str, str]:
    path = dataset / IMAGE_LIST
    if not path.is_file():
        return {}
    rows: list[dict[str, Any]] = read_parquet(path, columns=["image_sha256", "places"]).to_pylist()
    return {row["image_sha256"]: row["places"] or "" for row in rows}
