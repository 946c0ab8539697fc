"""What a bundle is not made of: said before anything is copied, all at once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jaxlab.bundling import bundle, folder
from jaxlab.bundling.runs import members_of
from jaxlab.core.config import locations, to_json
from jaxlab.core.types import UserError
from jaxlab.data import Images, KaggleTable, Mnist, Pooled, WithMasks
from jaxlab.encode import CachedFeatures, ImageEncoder, Ridge
from jaxlab.experiment import Experiment
from jaxlab.experiment.folds import Folds
from jaxlab.models import LeNet5
from jaxlab.training.rundir import RunDirectory


def ridge(weights: str) -> Ridge:
    encoder = ImageEncoder(model=LeNet5(pretrained=weights), images=Images(size=(32, 32)))
    return Ridge(data=KaggleTable(root="here"), encoders=(encoder,))


def run_of(config, path, checkpoint=True, targets=("a",)):
    """A run directory without arrays."""
    RunDirectory(path).create(to_json(config), None, {"task": {"targets": list(targets)}})
    if checkpoint:
        folder = path / "checkpoints/0"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"files": {}}))
    return path


@pytest.mark.parametrize(
    ("names", "gives_way"),
    [
        ([], True),
        (["runs", "wheels", "notebook.ipynb"], True),
        (["runs", "bundle.json"], False),
        (["runs", "mine.txt"], False),
    ],
)
def test_what_a_killed_command_left_gives_way_and_a_bundle_does_not(tmp_path, names, gives_way):
    """bundle.json was moved there last, by version 0.1; now the folder appears whole."""
    for name in names:
        (tmp_path / name).mkdir()
    assert folder._gives_way(tmp_path) == gives_way


def test_every_fault_of_every_run_is_named(tmp_path):
    whole = run_of(ridge("nowhere.safetensors"), tmp_path / "a/ridge")
    unfinished = run_of(ridge("nowhere.safetensors"), tmp_path / "b/ridge", checkpoint=False)
    with pytest.raises(UserError) as refused:
        bundle([whole, unfinished, tmp_path], tmp_path / "out")
    for words in (
        "several runs are called ridge: rename their folders",
        f"{whole}: weights nowhere.safetensors: no such file or folder",
        f"{unfinished}: no checkpoint yet",
        f"{tmp_path} is not a run directory",
    ):
        assert words in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_folds_that_are_not_there_are_named(tmp_path):
    """One without a checkpoint, one not begun: of the others alone the mean would be another."""
    folds = Folds(experiment=Experiment(data=KaggleTable(root="here")), folds=3)
    run_of(folds, tmp_path / "net", checkpoint=False)
    for number in range(2):
        run_of(folds.fold(number), tmp_path / f"net/fold{number}", checkpoint=number == 0)
    with pytest.raises(UserError, match=r"net: 2 of 3 folds have no checkpoint yet \(fold1, fold2\)"):
        bundle([tmp_path / "net"], tmp_path / "out")


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UserError, match="exists already; name a folder that does not, or an empty one"):
        bundle([tmp_path / "run"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_the_folder_may_be_the_current_one(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(folder, "members_of", lambda runs, which: [])
    monkeypatch.setattr(folder, "_fill", lambda partial, *rest: partial.mkdir())
    assert bundle(["run"], ".") == Path()
    assert Path("bundle.json").is_file()  # in a folder that is still there for the shell
    assert json.loads(Path("dataset-metadata.json").read_text())["title"] == "jaxlab-here"
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_all_and_what_an_image_lacks_are_not_asked_for_together(tmp_path):
    with pytest.raises(UserError, match="says what is installed already"):
        bundle([tmp_path], tmp_path / "out", everything=True, image="freeze.txt")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    run = run_of(ridge("nowhere.safetensors"), tmp_path / "run")
    (run / "checkpoints/0/manifest.json").write_text(json.dumps({"files": {"state/x": "0"}}))
    with pytest.raises(UserError, match="the solution is damaged"):
        bundle([run], tmp_path / "out")


def test_locations_of_a_config_are_found_wherever_they_are():
    assert locations(ridge("w.pth")) == {"data.root": "here", "encoders.0.model.pretrained": "w.pth"}
    masked = WithMasks(source=KaggleTable(root="images"), masks="masks")
    cached = CachedFeatures(data=masked, encoders=ridge("w.pth").encoders)
    assert locations(cached) == {
        "data.source.root": "images",
        "data.masks": "masks",
        "encoders.0.model.pretrained": "w.pth",
    }
    assert locations(Mnist()) == {}


def test_a_run_of_several_subjects_has_no_one_submission(tmp_path):
    config = replace(ridge("here"), data=Pooled(root="here"))
    run = run_of(config, tmp_path / "run", targets=["s1/a", "s2/a", "s2/b"])
    with pytest.raises(UserError, match=r"predicts 2 subjects, .*`jaxlab predict .*run --out FOLDER`"):
        members_of([run], None)
