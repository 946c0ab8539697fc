"""What training shows: what it does before there is a loss, and what its numbers are of."""

import io

import pytest
from rich.console import Console

from jaxlab.training.display import LEGEND, Session, TerminalDisplay

SCORES = {"loss": 1.25, "pearson": -0.0339}


def shown(draw, width: int = 80) -> str:
    out = io.StringIO()
    with TerminalDisplay(Console(file=out, force_terminal=True, width=width), 10, 0, 8) as display:
        draw(display)
        display._bar.refresh()
    return out.getvalue()


def test_until_there_is_a_loss_it_says_what_is_done():
    assert "compiling" in shown(lambda display: None)
    assert "nan" not in shown(lambda display: None)
    assert "loss 0.5000" in shown(lambda display: display.step(1, 1, 0.5))
    assert "validating" in shown(lambda display: display.doing("validating"))


@pytest.mark.parametrize("title", ["", "fold 10 of 10"])
def test_an_epochs_line_fits_a_terminal(title):
    out = io.StringIO()
    display = TerminalDisplay(Console(file=out, width=80), 400, 0, 1000, title)
    for step in (1, 2):
        display.step(step, 1, 0.5)
    display.epoch(1, SCORES, SCORES, True)
    display.table()
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "train, as it learns" in out.getvalue()


def test_the_legend_is_said_once_for_all_folds_and_fits_a_terminal():
    out = io.StringIO()
    session = Session(Console(file=out, width=80))
    for fold in range(3):
        session.within(f"fold {fold}").once(LEGEND)
    assert out.getvalue() == f"{LEGEND}\n"
    assert max(map(len, LEGEND.splitlines())) <= 80
    assert all(word in LEGEND for word in ("training / validation", "*", "jaxlab evaluate"))
