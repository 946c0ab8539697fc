"""What is refused before anything is predicted."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.data.sources.users_images import given_samples
from jaxlab.heads import Linear
from jaxlab.losses import Mse
from jaxlab.objectives import KINDS
from jaxlab.runs.predict import _check_names

SAMPLES = given_samples(np.zeros((3, 4, 4), np.uint8), "uint8")
ROWS = [f"{name}_{target}" for name in SAMPLES.ids for target in ("a", "b", "c")]


def run(kind: str) -> SimpleNamespace:
    path = SimpleNamespace(path="runs/x")
    primary = KINDS[kind]("a", "a", Linear(), Mse(), ("a", "b", "c"))
    return SimpleNamespace(test=(SAMPLES, None), targets=primary.targets, primary=primary, rundir=path)


def sample(folder, *lines: str):
    (folder / "sample.csv").write_text("\n".join(lines) + "\n")
    return folder / "sample.csv"


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("regression", ["id,c,a,b", *(f"{name},0,0,0" for name in SAMPLES.ids)]),
        ("regression", ["id,value", *(f"{row},0" for row in ROWS)]),
        ("regression", ["id,a,b,c", *(f"{name},0.2,0.3,0.5" for name in SAMPLES.ids)]),
        ("classification", ["id,a,b,c", *(f"{name},0.2,0.3,0.5" for name in SAMPLES.ids)]),
        ("classification", ["id,class", *(f"{name},a" for name in SAMPLES.ids)]),
    ],
    ids=["wide", "long", "like probabilities", "probabilities", "names"],
)
def test_samples_that_fit_pass(kind: str, lines: list[str], tmp_path) -> None:
    _check_names(run(kind), sample(tmp_path, *lines))


def test_other_targets_and_ids_are_named(tmp_path) -> None:
    path = sample(tmp_path, "id,a,b,z", f"{SAMPLES.ids[0]},0,0,0", "other,0,0,0")
    with pytest.raises(UserError) as caught:
        _check_names(run("regression"), path)
    text = str(caught.value)
    assert text.startswith(
        f"{path} asks for other predictions than runs/x makes:\n- Required column 'z' could not"
    )
    for words in [
        "Unexpected Column: 'c'",
        "ids missing from the submission: 'other'",
        repr(str(SAMPLES.ids[1])),
    ]:
        assert words in text
