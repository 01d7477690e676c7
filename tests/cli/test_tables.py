from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from zenml.cli.tables import MARKER, Table, marker

TEXT = st.text(max_size=40)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=5), st.integers(min_value=20, max_value=120))
def test_every_line_is_as_wide_as_the_others_and_fits(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = Table(("ACTIVE", "NAME", "URL"), rows, marked=True).render(width).split("\n")
    assert len(lines) == len(rows) + 4
    (shared,) = {cell_len(line) for line in lines}
    assert shared < width


@given(st.lists(TEXT.filter(str.isprintable), min_size=1, max_size=5))
def test_nothing_is_cut_without_a_limit(cells: list[str]) -> None:
    lines = Table(("NAME",), [(cell,) for cell in cells]).render(None).split("\n")
    assert [line[2:].startswith(cell) for line, cell in zip(lines[3:], cells, strict=False)] == [True] * len(
        cells
    )


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    rendered = Table(("NAME",), [("a\x1b[31m\nb\tc\x07",), (None,)]).render(None)
    assert "\x1b" not in rendered
    assert len(rendered.split("\n")) == 6
    assert "None" not in rendered


def test_the_widest_column_is_cut_first() -> None:
    table = Table(
        ("ACTIVE", "NAME", "URL"),
        [(marker(True), "default", "x" * 60), (marker(False), "b", "y")],
        marked=True,
    )
    assert table.render(40) == (
        "┏━━━━━━━━┯━━━━━━━━━┯━━━━━━━━━━━━━━━━━━┓\n"
        "┃ ACTIVE │ NAME    │ URL              ┃\n"
        "┠────────┼─────────┼──────────────────┨\n"
        f"┃   {MARKER}   │ default │ xxxxxxxxxxxxxxx… ┃\n"
        "┃        │ b       │ y                ┃\n"
        "┗━━━━━━━━┷━━━━━━━━━┷━━━━━━━━━━━━━━━━━━┛"
    )
