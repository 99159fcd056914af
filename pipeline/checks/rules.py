"""Whether the posts of a dataset obey the rules it was built by. Only the result is checked, not the build."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from m3h.pipeline.cleaning.candidates import near_pairs
from m3h.pipeline.cleaning.groups import age, groups, image_trait, image_traits, text_trait, text_traits
from m3h.pipeline.cleaning.local_features import PictureLikeness
from m3h.pipeline.cleaning.minhash import TextLikeness, text_name
from m3h.pipeline.cleaning.splits import split_of
from m3h.pipeline.cleaning.text_rules import text_reason
from m3h.pipeline.dataset.publish import columns
from m3h.pipeline.dataset.tables import LISTS
from m3h.pipeline.readers.formats import CMKP
from m3h.pipeline.rules import CleanRules, SplitRules
from m3h.schemas.config import resolve
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Post, text_key

_COLUMNS = (
    "post_id", "tokens", "hashtags", "image_sha256", "split", "own_split", "group", "lang", "source", "position",
    "sensitive",
)  # fmt: skip


def rule_violations(dataset: Path, manifest: Manifest) -> Iterator[str]:
    """A sentence for every rule that some posts break."""
    posts = [_post(dict(zip(_COLUMNS, row, strict=True))) for row in columns(dataset, "posts", _COLUMNS)]
    clean = resolve(CleanRules, manifest.config.get("clean", {}))
    forgotten = "forgotten" in manifest.counts.get("dropped", {})  # the posts that stay keep their hashtags and splits
    for breach in broken_rules([post for post in posts if not _came_clean(post)], clean, forgotten=forgotten):
        yield f"{dataset}: {breach}"
    for breach in broken_groups(posts, _keypoints(dataset), clean):
        yield f"{dataset}: {breach}"
    split = resolve(SplitRules, manifest.config.get("split", {}))
    if not forgotten and (wrong := [p for p in posts if not p.own_split and p.split != split_of(p.group, split)]):
        yield f"{dataset}: {_example(wrong)} in another split than split.key, split.valid and split.test say."


def broken_rules(posts: Sequence[Post], rules: CleanRules, forgotten: bool = False) -> Iterator[str]:
    """Find the rules of `clean` that some posts break.

    Args:
        posts: the posts that the build cleaned; those of a released dataset came clean.
        rules: the rules that the dataset was built by.
        forgotten: whether posts were forgotten since the build; then hashtags may have become rare.

    Yields:
        One sentence for each broken rule.
    """
    counts = Counter(tag for post in posts for tag in post.hashtags)
    checks: list[tuple[str, Callable[[Post], bool]]] = [
        ("clean.min_tokens and clean.max_hashtags", lambda post: text_reason(post, rules) is not None),
        ("clean.languages", lambda post: bool(rules.languages) and post.lang not in rules.languages),
        ("clean.drop_sensitive", lambda post: rules.drop_sensitive and post.sensitive),
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
            yield f"{_example(wrong)} against {name}."


def broken_groups(posts: Sequence[Post], keypoints: Mapping[str, str], rules: CleanRules) -> Iterator[str]:
    """Find posts with the same or nearly the same picture or text that are in different groups.

    Near copies that the rules say to drop are found, too.

    Args:
        posts: all posts of the dataset.
        keypoints: image_sha256 -> what `local_features` found in the picture, "" if nothing.
        rules: the rules that the dataset was built by.

    Yields:
        One sentence for each breach.
    """
    texts = {text_name(text): text for post in posts if (text := text_key(post.tokens))}
    cleaned = {trait for post in posts if not _came_clean(post) for trait in (*text_traits(post), *image_traits(post))}
    shown = {post.image_sha256: keypoints[post.image_sha256] for post in posts if keypoints.get(post.image_sha256)}
    text_links, image_links = [], []
    if rules.near_text:
        text_links = [(text_trait(a), text_trait(b)) for a, b in near_pairs(texts, TextLikeness(rules.near_text))]
    if rules.near_images:
        image_links = [
            (image_trait(a), image_trait(b)) for a, b in near_pairs(shown, PictureLikeness(rules.near_images))
        ]
    computed = groups(
        {str(i): (age(p), [*image_traits(p), *text_traits(p)]) for i, p in enumerate(posts)}, text_links + image_links
    )
    stated: dict[str, set[str]] = {}
    for i, post in enumerate(posts):
        stated.setdefault(computed[str(i)], set()).add(post.group)
    if divided := sorted(group for group, names in stated.items() if len(names) > 1):
        yield f"{len(divided)} groups of near copies, such as that of post {divided[0]}, are divided."
    for rule, is_set, links in (
        ("clean.drop_near_texts", rules.drop_near_texts, text_links),
        ("clean.drop_near_images", rules.drop_near_images, image_links),
    ):
        if is_set and (pairs := [link for link in links if cleaned.issuperset(link)]):
            yield f"{len(pairs)} pairs against {rule}."


def _came_clean(post: Post) -> bool:
    """Whether a post is of a released dataset, to which no rule was applied. One that brings its split is no such."""
    return post.source.startswith(f"{CMKP}:")


def _post(row: dict[str, Any]) -> Post:
    return Post(text="", **row | {name: tuple(row[name]) for name in ("tokens", "hashtags")})


def _repeated(posts: Sequence[Post], key: Callable[[Post], str]) -> Callable[[Post], bool]:
    counts = Counter(key(post) for post in posts)
    return lambda post: key(post) != "" and counts[key(post)] > 1


def _example(posts: Sequence[Post]) -> str:
    return f"{len(posts)} posts, such as {posts[0].post_id},"


def _keypoints(dataset: Path) -> dict[str, str]:
    rows = columns(dataset, "images", ("image_sha256", "keypoints"), pattern=LISTS)
    return {image: keypoints or "" for image, keypoints in rows}
