"""Paths are kept so that they mean the same from another folder; hub ids and what is not there stay as they are."""

from dataclasses import replace
from pathlib import Path

from jaxlab.core.config import anchored, identity
from jaxlab.data import Images, KaggleTable, WithMasks
from jaxlab.encode import CachedFeatures, ImageEncoder
from jaxlab.experiment import Experiment, Folds, Training
from jaxlab.models import Features, ResNet


def test_relative_paths_to_what_is_there_become_absolute(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data", "masks", "weights"):
        (tmp_path / name).mkdir()
    source = WithMasks(source=KaggleTable(root="data"), masks="./masks")
    kept = anchored(source)
    assert (kept.source.root, kept.masks) == (str(tmp_path / "data"), str(tmp_path / "masks"))
    assert identity(kept) == identity(source)
    assert anchored(KaggleTable(root="elsewhere")) == KaggleTable(root="elsewhere")
    assert anchored(KaggleTable(root=str(tmp_path / "data"))).root == str(tmp_path / "data")


def test_wherever_they_stand(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "weights").mkdir()
    encoders = [
        ImageEncoder(model=ResNet(depth=18, pretrained=source), images=Images(size=(32, 32)), name=source[0])
        for source in ("weights", "timm/resnet18.a1_in1k")
    ]
    data = CachedFeatures(data=KaggleTable(root="data"), encoders=tuple(encoders))
    study = Folds(experiment=Experiment(data=data, model=Features(), training=Training(steps=1)), folds=2)
    kept = anchored(study).experiment.data
    assert kept.data.root == str(tmp_path / "data")
    assert [one.model.pretrained for one in kept.encoders] == [
        str(tmp_path / "weights"),
        "timm/resnet18.a1_in1k",
    ]
    assert anchored(study) == replace(study, experiment=anchored(study.experiment))
