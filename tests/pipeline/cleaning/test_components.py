"""Contraction keeps what is connected, and leaves little."""

from hypothesis import given
from hypothesis import strategies as st

from m3h.pipeline.cleaning.components import components, contracted, label, node, star

EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=25).map(
    lambda pairs: [(node(str(a)), node(str(b))) for a, b in pairs if a != b]
)


def contraction(edges):
    """One round: the labels of the nodes, and the edges that are left."""
    neighbours = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    labels = {one: label(one, others) for one, others in neighbours.items()}
    left = [edge for one in neighbours for edge in contracted(labels[one], [labels[n] for n in neighbours[one]])]
    return labels, left


def partition(root_of):
    parts = {}
    for one, root in root_of.items():
        parts.setdefault(root, set()).add(one)
    return sorted(map(sorted, parts.values()))


def brute_force(edges):
    component = {one: {one} for edge in edges for one in edge}
    for a, b in edges:
        union = component[a] | component[b]
        for one in union:
            component[one] = union
    return sorted(map(sorted, {frozenset(part) for part in component.values()}))


@given(EDGES)
def test_components_are_what_edges_connect(edges):
    assert partition(components(edges)) == brute_force(edges)


@given(EDGES)
def test_a_round_keeps_what_is_connected_and_no_more(edges):
    labels, left = contraction(edges)
    roots = components(left)
    assert partition({one: roots.get(mine, mine) for one, mine in labels.items()}) == brute_force(edges)


def test_a_path_is_a_small_part_of_itself_after_three_rounds():
    edges = [(node(str(i)), node(str(i + 1))) for i in range(3000)]
    for _ in range(3):
        _, edges = contraction(edges)
    assert 0 < len({one for edge in edges for one in edge}) < 3000 / 6


def test_pairs_are_done_after_one_round_and_a_star_after_two():
    assert contraction([(node(f"a{i}"), node(f"b{i}")) for i in range(50)])[1] == []
    _, left = contraction([(node("hub"), node(f"ray{i}")) for i in range(200)])
    assert contraction(left)[1] == []


@given(st.lists(st.integers(0, 5)))
def test_a_star_connects_all_that_hold_something(numbers):
    holders = [node(str(number)) for number in numbers]
    edges = list(star(iter(holders)))
    assert all(a != b for a, b in edges)
    assert {one for edge in edges for one in edge} == (set(holders) if len(set(holders)) > 1 else set())
    assert len(partition(components(edges))) <= 1
