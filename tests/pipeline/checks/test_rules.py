"""What a dataset holds is checked against its rules, each of which can be seen to be broken."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.checks.rules import broken_groups, broken_rules, rule_violations
from m3h.pipeline.checks.verify import verify
from m3h.pipeline.cleaning.candidates import near_pairs
from m3h.pipeline.cleaning.groups import age, groups, image_traits, text_traits
from m3h.pipeline.cleaning.minhash import TextLikeness, text_name
from m3h.pipeline.cleaning.rare_hashtags import rare_posts
from m3h.pipeline.readers.formats import CMKP
from m3h.pipeline.rules import CleanRules
from m3h.schemas.manifest import Manifest
from m3h.schemas.posts import Post
from tests.commands import run
from tests.pipeline.fakes import small_dump

RULES = CleanRules(min_hashtag_count=2)


def post(number: int, text: str = "", **fields: object) -> Post:
    words = text or " ".join(hashlib.sha256(f"{number} {i}".encode()).hexdigest()[:6] for i in range(6))
    known = {"hashtags": ("a",), "lang": "en", "image_sha256": f"{number:064x}", "group": str(number)}
    return Post(str(number), words, position=number, tokens=tuple(words.split()), **{**known, **fields})  # type: ignore[arg-type]


GOOD = [post(1), post(2), post(3)]


def test_posts_that_obey_every_rule_are_told_nothing() -> None:
    assert list(broken_rules(GOOD, RULES)) == []
    assert list(broken_groups(GOOD, {}, RULES)) == []
    assert list(broken_rules([], RULES)) == []


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (post(9, "too few"), "clean.min_tokens"),
        (post(9, hashtags=()), "clean.min_tokens"),
        (post(9, hashtags=("a", "b", "c", "d", "e", "f")), "clean.max_hashtags"),
        (post(9, lang="de"), "clean.languages"),
        (post(9, hashtags=("a", "alone")), "clean.min_hashtag_count"),
        (post(9, GOOD[0].text), "clean.unique_texts"),
        (post(9, image_sha256=GOOD[0].image_sha256), "clean.unique_images"),
        (post(1, "the same id with quite another text"), "one post an id"),
    ],
)
def test_each_rule_can_be_seen_to_be_broken(bad: Post, rule: str) -> None:
    assert any(rule in breach for breach in broken_rules([*GOOD, bad], RULES))


def test_after_posts_were_forgotten_the_others_keep_their_hashtags() -> None:
    left = [*GOOD, post(9, hashtags=("a", "alone"))]
    assert list(broken_rules(left, RULES, forgotten=True)) == []


def test_posts_that_bring_their_split_count_and_obey(tmp_path: Path) -> None:
    dump, images = small_dump(tmp_path, 24)
    with open(own := tmp_path / "own.jsonl", "w") as file:
        for i, record in enumerate(map(json.loads, dump.read_text().splitlines())):
            text = record["text"].rpartition(" #tag")[0]
            record["text"] = f"{text} #tea #rare" if i < 2 else f"{text} #tea"
            file.write(json.dumps(record | ({"split": "valid"} if i % 2 else {})) + "\n")
    build = ("build", "--dumps", own, "--images", images, "--features", "none", "--dataset", tmp_path / "dataset")
    done = run("pipeline", *build, "--set", "clean.min_hashtag_count=20", "--json")
    assert (done.code, done.json["kept"], done.json["dropped"]) == (0, 22, {"rare_hashtag": 2})
    assert verify(tmp_path / "dataset").breaches == []
    manifest = Manifest.read(tmp_path / "dataset")
    manifest.config["clean"]["min_hashtag_count"] = 23
    assert any("22 posts" in breach for breach in rule_violations(tmp_path / "dataset", manifest))


def test_no_rule_was_applied_to_posts_of_a_released_dataset() -> None:
    one = post(1, "the old bridge over the river in the morning light", group="1")
    other = post(2, "the old bridge over the river in the morning lights", group="1")
    released, dropping = {"source": f"{CMKP}:train"}, CleanRules(drop_near_texts=True)
    for posts in ([one.having(**released), other.having(**released)], [one, other.having(**released)]):
        assert list(broken_groups(posts, {}, dropping)) == []
    assert len(list(broken_groups([one, other], {}, dropping))) == 1


def test_a_near_text_in_another_group_is_a_leak() -> None:
    one = post(1, "the old bridge over the river in the morning light")
    other = post(2, "the old bridge over the river in the morning lights")
    assert "are divided" in next(broken_groups([one, other], {}, RULES))
    assert list(broken_groups([one, other.having(group="1")], {}, RULES)) == []
    assert list(broken_groups([one, other], {}, CleanRules(near_text=0))) == []
    dropping = CleanRules(drop_near_texts=True)
    assert "clean.drop_near_texts" in next(broken_groups([one, other.having(group="1")], {}, dropping))


TAGGED = st.lists(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=4), max_size=25)


@given(TAGGED, st.integers(1, 5))
def test_what_the_rare_hashtag_door_leaves_obeys(tags: list[list[str]], least: int) -> None:
    posts = [post(i, hashtags=tuple(mine)) for i, mine in enumerate(tags)]
    gone = rare_posts({p.post_id: p.hashtags for p in posts}, least)
    left = [p for p in posts if p.post_id not in gone]
    assert list(broken_rules(left, CleanRules(min_hashtag_count=least))) == []


WORDS = st.lists(st.sampled_from("one two three four five six seven".split()), min_size=4, max_size=6)  # noqa: SIM905


@given(st.lists(WORDS, max_size=12))
def test_the_groups_a_build_makes_are_never_divided(texts: list[list[str]]) -> None:
    posts = [post(i, " ".join(words), image_sha256=f"{i % 7:064x}") for i, words in enumerate(texts)]
    names = {text_name(p.text): p.text for p in posts}
    links = [(f"text {a}", f"text {b}") for a, b in near_pairs(names, TextLikeness(RULES.near_text))]
    found = groups({p.post_id: (age(p), [*image_traits(p), *text_traits(p)]) for p in posts}, links)
    assert list(broken_groups([p.having(group=found[p.post_id]) for p in posts], {}, RULES)) == []
