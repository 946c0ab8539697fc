"""What is said before training of data that would disappoint after it.

The kind: a run whose predictions the sample submission refuses, which `jaxlab predict --out` finds when all is trained.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxlab.core.types import Samples
from jaxlab.data.source import Opened
from jaxlab.heads import Linear
from jaxlab.losses import Mse
from jaxlab.objectives import KINDS
from jaxlab.runs.checks import log_data
from jaxlab.training.display import Session


def samples(*ids: str) -> Samples:
    return Samples(ids=np.array(ids), read=lambda _: np.zeros((1, 1, 1), np.uint8), checksum=lambda _: b"")


def said(folder: Path, kind: str, targets: tuple[str, ...], *lines: str, notes: tuple[str, ...] = ()) -> str:
    (folder / "sample.csv").write_text("\n".join(lines) + "\n")
    opened = Opened(samples("a"), samples("x", "y"), kind, targets, folder / "sample.csv", notes=notes)
    out = io.StringIO()
    objective = KINDS[kind]("o", "o", Linear(), Mse(), targets)
    log_data(opened, objective, Session(Console(file=out, width=1000)))
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "targets", "lines", "words"),
    [
        ("regression", ("n0", "fold"), ("id,n0", "x,0", "y,0"), "Unexpected Column: 'fold'"),
        ("regression", ("n0",), ("id,n0,n1", "x,0,0", "y,0,0"), "'n1'"),
        ("regression", ("n0",), ("id,n0", "x,0", "z,0"), "'z'"),
        ("classification", ("cat", "dog"), ("id,cat,cow", "x,0.5,0.5", "y,1,0"), "'cow'"),
        ("classification", ("cat", "dog"), ("id,kind", "x,0.25", "y,0.5"), "kind"),
        ("regression", ("n0",), ("id", "x", "y"), "sample.csv"),
    ],
)
def test_what_a_sample_refuses_is_said_before_training(tmp_path: Path, kind, targets, lines, words) -> None:
    line = said(tmp_path, kind, targets, *lines)
    assert line.startswith(
        f"warning: {tmp_path / 'sample.csv'} asks for other predictions than this run will make"
    )
    assert words in line


def test_runs_of_the_same_data_say_it_once(tmp_path: Path) -> None:
    out = io.StringIO()
    session = Session(Console(file=out, width=100))
    for inside in (session.within("fold 1"), session.within("fold 2"), session):
        inside.once("this")
        inside.log("that")
    assert out.getvalue() == "this\nthat\nthat\nthat\n"


def test_what_fits_is_not_spoken_of(tmp_path: Path) -> None:
    assert said(tmp_path, "regression", ("n0",), "id,n0", "x,0", "y,0") == ""
    assert said(tmp_path, "classification", ("cat", "dog"), "id,kind", "x,cat", "y,dog") == ""
    assert said(tmp_path, "regression", ("n0",), "id,n0", "x,0", "y,0", notes=("this too",)) == "this too\n"
