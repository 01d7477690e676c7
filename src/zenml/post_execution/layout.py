"""Places the boxes of a layered graph, and the lines between them, from top to bottom.

The method is Sugiyama's: nodes in layers, a placeholder in each layer that a longer line crosses, the order within layers by
barycenters; then each layer comes as close to its neighbours as the boxes' widths allow, in the sense of least squares (isotonic
regression by pooling adjacent violators). All of it is linear in nodes and edges but for the sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Point = tuple[float, float]

_SWEEPS = 4
_PLACEHOLDERS = 12
"""For each node, on average: further lines are drawn straight, behind the boxes."""
_STRAIGHTNESS = 4.0
"""Weight of a placeholder against that of a box."""


@dataclass(frozen=True, slots=True)
class Line:
    """A part of an edge, or of several that begin at the same node; `edge` is the index of the one that ends with it.

    Between two `points` with the same x it is straight, between others a curve.
    """

    points: tuple[Point, ...]
    source: int
    edge: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are: the upper left corner of each box, the lines, and the size of it all."""

    corners: tuple[Point, ...]
    lines: tuple[Line, ...]
    width: float
    height: float


def ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each of `count` nodes: behind all that it comes from; those that come from nothing right before what needs them.

    Each edge leads from a lower to a higher index.
    """
    following: list[list[int]] = [[] for _ in range(count)]
    is_source = [True] * count
    for source, target in edges:
        following[source].append(target)
        is_source[target] = False
    found = [0] * count
    for node in range(count):
        for target in following[node]:
            found[target] = max(found[target], found[node] + 1)
    for node in range(count):
        if is_source[node] and following[node]:
            found[node] = min(found[target] for target in following[node]) - 1
    return found


def layered(
    sizes: Sequence[tuple[float, float]],
    layers: Sequence[int],
    edges: Sequence[tuple[int, int]],
    *,
    gap: float = 24,
    rise: float = 28,
) -> Layout:
    """Place boxes of these sizes (width, height), each in its layer, at least `gap` apart in a layer; layers are `rise` apart.

    Each edge leads to a higher layer.
    """
    graph = _Expanded(sizes, layers, edges)
    graph.order()
    graph.place(gap)
    return graph.layout(sizes, rise)


class _Expanded:
    """The graph with placeholders: every link leads to the next layer."""

    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        layers: Sequence[int],
        edges: Sequence[tuple[int, int]],
    ) -> None:
        self.boxes = len(sizes)
        self.widths = [width for width, _ in sizes]
        self.layer = list(layers)
        self.origin = list(range(self.boxes))
        self.links: list[tuple[int, int, int | None]] = []
        self.direct: list[int] = []
        self._expand(edges)
        count = len(self.widths)
        self.before: list[list[int]] = [[] for _ in range(count)]
        self.after: list[list[int]] = [[] for _ in range(count)]
        for source, target, _ in self.links:
            self.after[source].append(target)
            self.before[target].append(source)
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for node, layer in enumerate(self.layer):
            self.rows[layer].append(node)
        self.x = [0.0] * count

    def _expand(self, edges: Sequence[tuple[int, int]]) -> None:
        """One chain of placeholders for all edges from the same node; the shortest chains first, as many as there may be."""
        leaving: dict[int, list[int]] = {}
        for index, (source, _) in enumerate(edges):
            leaving.setdefault(source, []).append(index)
        length = {s: max(self.layer[edges[i][1]] for i in own) - self.layer[s] for s, own in leaving.items()}
        left = _PLACEHOLDERS * self.boxes
        for source, own in sorted(leaving.items(), key=lambda item: length[item[0]]):
            left -= length[source] - 1
            if left < 0:
                self.direct += own
                continue
            chain = [source]
            for layer in range(self.layer[source] + 1, self.layer[source] + length[source]):
                chain.append(len(self.widths))
                self.widths.append(0.0)
                self.layer.append(layer)
                self.origin.append(source)
            self.links += [(a, b, None) for a, b in pairwise(chain)]
            for index in own:
                target = edges[index][1]
                self.links.append((chain[self.layer[target] - self.layer[source] - 1], target, index))
        self.edges = edges

    def order(self) -> None:
        """Order each layer by the mean position of the neighbours above, then below, and again."""
        position = [0.0] * len(self.widths)
        for row in self.rows:
            _number(row, position)
        for sweep in range(2 * _SWEEPS):
            down = sweep % 2 == 0
            neighbours = self.before if down else self.after
            for row in self.rows if down else reversed(self.rows):
                # Nodes without neighbours stay about where they are.
                mean = {node: _mean(neighbours[node], position, position[node]) for node in row}
                row.sort(key=lambda node: (mean[node], position[node]))
                _number(row, position)

    def place(self, gap: float) -> None:
        """Move each layer towards its neighbours above, then below, at last both."""
        for row in self.rows:
            self._settle(row, gap, lambda _: [])
        for _ in range(_SWEEPS):
            for row in self.rows:
                self._settle(row, gap, self.before.__getitem__)
            for row in reversed(self.rows):
                self._settle(row, gap, self.after.__getitem__)
        for row in self.rows:
            self._settle(row, gap, lambda node: self.before[node] + self.after[node])

    def _settle(self, row: list[int], gap: float, neighbours: Callable[[int], list[int]]) -> None:
        """Put the row where each node is closest to the mean of its neighbours, in order and apart."""
        offset, offsets = 0.0, []
        blocks: list[list[float]] = []  # sum of weighted wishes, weight, number of nodes
        for index, node in enumerate(row):
            is_box = node < self.boxes
            if index:
                between = gap if is_box or row[index - 1] < self.boxes else gap / 3
                offset += (self.widths[row[index - 1]] + self.widths[node]) / 2 + between
            offsets.append(offset)
            near = neighbours(node)
            # Else a line beside a chain of boxes would pull each of them a little further to its side.
            near = [other for other in near if (other < self.boxes) is is_box] or near
            weight = (1.0 if is_box else _STRAIGHTNESS) if near else 0.01
            wish = _mean(near, self.x, self.x[node]) - offset
            blocks.append([weight * wish, weight, 1])
            while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
                last = blocks.pop()
                blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
        index = 0
        for wishes, weight, number in blocks:
            for _ in range(int(number)):
                self.x[row[index]] = wishes / weight + offsets[index]
                index += 1

    def layout(self, sizes: Sequence[tuple[float, float]], rise: float) -> Layout:
        """Heights, and the lines in the gaps between layers."""
        heights = [max((sizes[n][1] for n in row if n < self.boxes), default=0.0) for row in self.rows]
        tops, top = [], 0.0
        for height in heights:
            tops.append(top)
            top += height + rise
        left = min((self.x[n] - self.widths[n] / 2 for n in range(len(self.x))), default=0.0)
        right = max((self.x[n] + self.widths[n] / 2 for n in range(len(self.x))), default=0.0)
        x = [value - left for value in self.x]

        def middle(node: int) -> float:
            return tops[self.layer[node]] + heights[self.layer[node]] / 2

        def lower(node: int) -> float:
            return middle(node) + (
                sizes[node][1] / 2 if node < self.boxes else -heights[self.layer[node]] / 2
            )

        def upper(node: int) -> float:
            return middle(node) - (sizes[node][1] if node < self.boxes else heights[self.layer[node]]) / 2

        def line(source: int, target: int, edge: int | None) -> Line:
            start, end = self.layer[source], self.layer[target]
            points = (
                (x[source], lower(source)),
                (x[source], tops[start] + heights[start]),
                (x[target], tops[end]),
                (x[target], upper(target)),
            )
            return Line(points, self.origin[source], edge)

        return Layout(
            tuple((x[n] - self.widths[n] / 2, upper(n)) for n in range(self.boxes)),
            tuple(line(*link) for link in self.links)
            + tuple(line(*self.edges[index], index) for index in self.direct),
            right - left,
            max(top - rise, 0.0),
        )


def _number(row: Sequence[int], position: list[float]) -> None:
    for index, node in enumerate(row):
        position[node] = index - len(row) / 2


def _mean(nodes: Sequence[int], values: Sequence[float], otherwise: float) -> float:
    return sum([values[node] for node in nodes]) / len(nodes) if nodes else otherwise
