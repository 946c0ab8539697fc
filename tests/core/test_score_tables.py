"""What a terminal of 80 columns shows of many scores: every name and number whole, in as many tables as it takes."""

import io

import pytest
from rich.console import Console

from jaxlab.core.score_tables import score_tables

NAMES = [f"{objective}{name}" for objective in ("", "object/", "category/") for name in (
    "loss", "pearson", "pearson_median", "explained_variance", "mse", "constant_targets", "top_5_accuracy"
)]  # fmt: skip


@pytest.mark.parametrize("width", [40, 80, 300])
@pytest.mark.parametrize("count", [1, 7, 21])
def test_all_of_each_table_is_seen(width, count):
    out = io.StringIO()
    console = Console(file=out, width=width)
    scores = {name: f"{-0.12345 - k:.4g}" for k, name in enumerate(NAMES[:count])}
    rows = [(("12345", "validation"), scores), (("12346", "train"), {})]
    tables = list(score_tables(console, ("step", "split"), rows, "title"))
    for table in tables:
        console.print(table)
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "\u2026" not in shown
    assert all(shown.split().count(text) == 1 for text in scores.values())
    assert shown.split().count("12345") == len(tables)
    assert (len(tables) == 1) == (width == 300 or count == 1 or (width == 80 and count == 7))
    assert shown.count("title") == 1


def test_names_of_scores_are_no_markup():
    out = io.StringIO()
    odd = "a[/b]:cat:[red]"
    for table in score_tables(Console(file=out), ("step",), [((odd,), {odd: "0.5"})], odd):
        Console(file=out).print(table)
    assert out.getvalue().count(odd) == 3
