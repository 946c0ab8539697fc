"""Tables with a column a score, as many beside one another as a terminal has room for."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Row = tuple[Sequence[str], Mapping[str, str]]  # the first cells, then text by score


def score_tables(
    console: Console, first: Sequence[str], rows: Sequence[Row], title: str = ""
) -> Iterator[Table]:
    """Tables of `rows`, each with the columns `first`; the scores of the second go on where those of the first end.

    Names of scores are broken at their underscores. A score that a row has not is an empty cell.
    """
    names = list(dict.fromkeys(name for _, scores in rows for name in scores))
    while names:
        taken = next(
            (
                count
                for count in range(len(names), 1, -1)
                if _fits(console, _table(first, names[:count], rows))
            ),
            1,
        )
        yield _table(first, names[:taken], rows, title)
        names, title = names[taken:], ""


def _table(first: Sequence[str], names: Sequence[str], rows: Sequence[Row], title: str = "") -> Table:
    table = Table(
        box=None,
        padding=(0, 1, 0, 0),
        title=Text(title, "table.title") if title else None,
        title_justify="left",
    )
    for name in (*first, *(name.replace("_", "\n") for name in names)):
        table.add_column(Text(name))
    for cells, scores in rows:
        table.add_row(*map(Text, cells), *(scores.get(name, "") for name in names))
    return table


def _fits(console: Console, table: Table) -> bool:
    """Whether it is as wide as it would like to be."""
    endless = console.options.update(max_width=10_000)
    return Measurement.get(console, endless, table).maximum <= console.width
