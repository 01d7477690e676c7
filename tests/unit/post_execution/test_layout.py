"""The invariants of a layered drawing."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from zenml.post_execution.layout import Layout, layered, ranks

GAP, RISE = 20.0, 30.0


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    """Boxes of any sizes, and edges from lower to higher indices."""
    count = draw(st.integers(0, 25))
    sizes = draw(
        st.lists(
            st.tuples(st.integers(10, 300).map(float), st.integers(5, 45).map(lambda n: 2.0 * n)),
            min_size=count,
            max_size=count,
        )
    )
    pairs = list(combinations(range(count), 2))
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=60)) if pairs else []
    return sizes, edges


def laid_out(sizes, edges) -> Layout:
    return layered(sizes, ranks(len(sizes), edges), edges, gap=GAP, rise=RISE)


@given(graphs())
def test_boxes_are_apart(drawn):
    sizes, edges = drawn
    layout = laid_out(sizes, edges)
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.corners, sizes, strict=True)]
    for a, b in combinations(boxes, 2):
        beside = a[2] + GAP <= b[0] + 1e-6 or b[2] + GAP <= a[0] + 1e-6
        above = a[3] + RISE <= b[1] + 1e-6 or b[3] + RISE <= a[1] + 1e-6
        assert beside or above
    for left, top, right, bottom in boxes:
        assert left >= -1e-6
        assert top >= -1e-6
        assert right <= layout.width + 1e-6
        assert bottom <= layout.height + 1e-6


@given(graphs())
def test_edges_lead_from_box_to_box_and_always_down(drawn):
    sizes, edges = drawn
    layout = laid_out(sizes, edges)
    ends = {line.edge: line for line in layout.lines if line.edge is not None}
    assert sorted(ends) == list(range(len(edges)))
    for line in layout.lines:
        heights = [y for _, y in line.points]
        assert heights == sorted(heights)
    for index, (source, target) in enumerate(edges):
        assert layout.corners[source][1] + sizes[source][1] < layout.corners[target][1]
        assert ends[index].source == source
        x, y = ends[index].points[-1]
        assert abs(x - (layout.corners[target][0] + sizes[target][0] / 2)) < 1e-6
        assert y == layout.corners[target][1]


@given(graphs())
def test_lines_between_neighbouring_layers_touch_no_box(drawn):
    """Each line is straight beside boxes, and a curve only in the gap between two layers."""
    sizes, edges = drawn
    layout = laid_out(sizes, edges)
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.corners, sizes, strict=True)]
    for line in layout.lines:
        (_, _), (_, upper), (_, lower), (_, _) = line.points
        if lower - upper > RISE + 1e-6:
            continue  # one of the many that is drawn straight through
        assert all(bottom <= upper + 1e-6 or top >= lower - 1e-6 for _, top, _, bottom in boxes)


@given(graphs())
def test_the_same_graph_looks_the_same(drawn):
    assert laid_out(*drawn) == laid_out(*drawn)


def test_what_comes_from_nothing_stands_right_before_what_needs_it():
    # 0 -> 1 -> 2 -> 4, 3 -> 4
    assert ranks(5, [(0, 1), (1, 2), (2, 4), (3, 4)]) == [0, 1, 2, 2, 3]


def test_a_chain_is_straight_although_all_of_it_reads_the_first():
    edges = [(i, i + 1) for i in range(49)] + [(0, i) for i in range(2, 50)]
    layout = laid_out([(100.0, 40.0)] * 50, edges)
    assert layout.width < 200
    assert len({round(x) for x, _ in layout.corners}) <= 2


def test_the_work_is_linear_in_long_edges():
    """All of a chain of 1,000 is collected at its end: most of these lines need no placeholders."""
    edges = [(i, i + 1) for i in range(999)] + [(i, 999) for i in range(998)]
    layout = laid_out([(100.0, 40.0)] * 1000, edges)
    assert len(layout.lines) < 20_000
