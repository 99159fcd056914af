"""Groups by rounds of contraction are those that one process finds."""

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from m3h.pipeline.cleaning.components import components, node
from m3h.pipeline.cleaning.groups import age, groups
from m3h.pipeline.cleaning.splits import shared_traits, split_of
from m3h.pipeline.rules import SplitRules
from m3h.pipeline.stages.group_rounds import Components, GroupsInRounds
from m3h.pipeline.stages.split import Split
from m3h.schemas.posts import Post

TRAITS = st.lists(st.sampled_from("abcdefghij"), max_size=3)
GRAPH = st.tuples(
    st.lists(TRAITS, max_size=15),
    st.lists(st.tuples(st.sampled_from("abcdefghijx"), st.sampled_from("abcdefghijx")), max_size=4),
)
"""What posts share, and which of it is linked. No post has an x."""

PATH = ([[f"n{i:02d}", f"n{i + 1:02d}"] for i in range(40)], [])
DEGENERATE = [
    *(([], []), ([], [("a", "b")]), ([[], []], [])),
    PATH,
    (PATH[0][::-1], []),
    ([["hub"]] * 30, []),
    ([["a"], ["b"], ["c"]], [("a", "x"), ("x", "b"), ("b", "b")]),  # a trait that nobody has connects nothing
    ([["a"], ["b"], ["c"], ["d"]], [("a", "b"), ("c", "b"), ("d", "c")]),
]


def together(graphs):
    """Many graphs in one pipeline, which share nothing: posts of what each shares, and links. Later posts are older."""
    posts, links = [], []
    for number, (shared, linked) in enumerate(graphs):
        for traits in shared:
            i = len(posts)
            tokens = tuple(f"{number}.{trait}" for trait in traits)
            posts.append(Post(str(999_999 - i), "", tokens=tokens, source="jsonl:d", position=i))
        links += [(f"{number}.{one}", f"{number}.{other}") for one, other in linked]
    return posts, links


def traits_of(post):
    return age(post), post.tokens


def check(graphs):
    posts, links = together(graphs)
    expected = groups({f"{post.source}\t{post.position}": traits_of(post) for post in posts}, links)
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        found = (root | beam.Create(posts), root | "links" >> beam.Create(links)) | GroupsInRounds(traits_of)
        assert_that(found, equal_to(list(expected.items())))


def test_degenerate_graphs_have_the_groups_that_one_process_finds():
    check(DEGENERATE)
    check([([], [])])


@settings(max_examples=3, deadline=None)
@given(st.lists(GRAPH, min_size=20, max_size=40))
def test_rounds_find_the_groups_that_one_process_finds(graphs):
    check(graphs)


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_however_many_rounds_are_wired_the_components_are_the_same(rounds):
    edges = [(node(f"path {i}"), node(f"path {i + 1}")) for i in range(30)]
    edges += [(node(f"ring {i}"), node(f"ring {(i + 1) % 9}")) for i in range(9)] + edges[:3]

    def by_root(pairs):
        parts = {}
        for one, root in pairs:
            parts.setdefault(root, []).append(one)
        return sorted(map(sorted, parts.values()))

    expected = by_root(components(edges).items())
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        found = root | beam.Create(edges) | Components(rounds) | beam.combiners.ToList() | beam.Map(by_root)
        assert_that(found, equal_to([expected]))


def test_a_split_in_rounds_is_that_of_one_process():
    posts = [
        Post(str(i), "", tokens=(f"t{i // 3}",), image_sha256=f"i{i % 17}", source="jsonl:d", position=i)
        for i in range(40)
    ]
    with test_pipeline.TestPipeline(runner=FnApiRunner()) as root:
        both = root | beam.Create(posts), root | "links" >> beam.Create([("image i3", "image i5"), ("image z", "i")])
        rules = SplitRules(valid=0.3, test=0.3)
        for in_rounds, name in ((False, "one process"), (True, "rounds")):
            out = both | name >> Split(rules, in_rounds)
            named = out | f"{name}: groups" >> beam.Map(lambda post: (post.post_id, post.group, post.split))
            assert_that(named, equal_to(one_process(posts, rules)), name)


def one_process(posts, rules):
    found = groups({p.post_id: shared_traits(p) for p in posts}, [("image i3", "image i5")])
    return [(post_id, group, split_of(group, rules)) for post_id, group in found.items()]
