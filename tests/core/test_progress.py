"""Bars are for terminals: in a log there is not even an empty line of them, whatever the version of rich."""

import io

from rich.console import Console
from rich.progress import BarColumn

from jaxlab.core.progress import Bar, tracked


def test_a_log_has_nothing_of_a_bar():
    out = io.StringIO()
    console = Console(file=out)
    with Bar(BarColumn(), console=console) as bar:
        bar.update(bar.add_task("", total=2), completed=1)
    assert list(tracked(range(3), "counting", 3, console)) == [0, 1, 2]
    assert out.getvalue() == ""


def test_a_terminal_is_shown_what_is_done():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=60)
    assert list(tracked(range(3), "counting", 3, console)) == [0, 1, 2]
    assert "counting" in out.getvalue()
