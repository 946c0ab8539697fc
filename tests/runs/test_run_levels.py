"""The level that a run takes for white: of a new one the data's, of one that is there its own, of an old one none."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from jaxlab.core.config import to_json
from jaxlab.data import Images, KaggleTable
from jaxlab.encode import CachedFeatures, ImageEncoder, Ridge
from jaxlab.experiment import Experiment, Training
from jaxlab.experiment.recipe import resolve
from jaxlab.models import Features, LeNet5
from jaxlab.runs.levels import levels_for, recorded_levels
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory


def camera(folder: Path) -> KaggleTable:
    """12 labelled images and 2 to predict, of 12 bits in 16; one of the latter is the brightest."""
    for split, levels in (("train", range(600, 660, 5)), ("test", (610, 3000))):
        (folder / split).mkdir()
        for level in levels:
            Image.fromarray(np.full((8, 8), level, np.uint16)).save(folder / split / f"{level}.png")
    rows = "".join(f"{level},{level / 7}\n" for level in range(600, 660, 5))
    (folder / "train.csv").write_text("id,n0\n" + rows)
    (folder / "sample_submission.csv").write_text("id,n0\n610,0\n3000,0\n")
    return KaggleTable(root=str(folder))


def said(config: object, rundir: RunDirectory, data: KaggleTable) -> tuple[object, str]:
    out = io.StringIO()
    return levels_for(config, rundir, data.open(), Session(Console(file=out, width=400))), out.getvalue()


def test_a_new_run_takes_the_datas_and_says_so(tmp_path: Path) -> None:
    data, rundir = camera(tmp_path), RunDirectory(tmp_path / "run")
    network = Experiment(data=data, training=Training(steps=1, batch_size=4))
    levels, line = said(network, rundir, data)
    assert levels == 4095
    assert (
        "14 of 14 images store more than 8 bits, with levels 600 to 3000; 0 is black and 4095 white" in line
    )
    assert resolve(network, data.open(), levels).task.to_json()["images"]["levels"] == 4095
    chosen = Experiment(data=data, images=Images(levels=(600, 700)), training=network.training)
    levels, line = said(chosen, rundir, data)
    assert "600 is black and 700 white" in line
    assert resolve(chosen, data.open(), levels).task.images.levels == (600, 700)
    ridge = Ridge(data=data, encoders=(ImageEncoder(model=LeNet5(), images=Images(size=(32, 32))),))
    assert said(ridge, rundir, data)[0] == 4095


def test_of_cached_features_the_encoders_say_it(tmp_path: Path) -> None:
    """The experiment's own images are read by nobody: they leave open what nobody asks."""
    data, rundir = camera(tmp_path), RunDirectory(tmp_path / "run")
    encoder = ImageEncoder(model=LeNet5(), images=Images(size=(32, 32), levels=(600, 700)))
    cached = CachedFeatures(data=data, encoders=(encoder,))
    network = Experiment(data=cached, model=Features(), training=Training(steps=1))
    levels, line = said(network, rundir, data)
    assert levels is None
    assert line.count("is black") == 1
    assert "600 is black and 700 white" in line


def test_a_run_that_is_there_keeps_its_own(tmp_path: Path) -> None:
    data, rundir = camera(tmp_path), RunDirectory(tmp_path / "run")
    network = Experiment(data=data, training=Training(steps=1, batch_size=4))
    task = resolve(network, data.open(), 1023).task.to_json()
    for kept, expected in ((task, 1023), ({**task, "images": to_json(Images())}, None)):
        rundir.create(to_json(network), None, {"task": json.loads(json.dumps(kept))})
        assert said(network, rundir, data) == (expected, "")


def test_an_encoders_record_says_it_too() -> None:
    encoder = ImageEncoder(model=LeNet5(), images=Images(size=(32, 32)))
    at = encoder.at_levels(4095)
    assert at.images.levels == 4095
    assert at.at_levels(255).images.levels == 4095  # its own
    assert recorded_levels({"encoders": [{"encoder": to_json(at)}]}) == 4095
    assert (
        recorded_levels(
            {"encoders": [{"encoder": to_json(encoder)}, {"encoder": {"type": "SentenceEncoder"}}]}
        )
        is None
    )
