"""What is said of pretrained weights that have seen the samples for validation."""

import json
from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
from pooled_folders import TRAIN
from tiny import tiny

import jaxlab
from jaxlab.core.config import to_json
from jaxlab.data import Images, KaggleTable, Pooled, RandomSplit
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.experiment import Objective
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.models import ShallowCNN
from jaxlab.pretext import Rotation
from jaxlab.runs.learned import learned_before


@pytest.fixture
def sides(arrays_npz):
    """The data, and of a split by another seed: positions to validate on, and how many of them the run learned."""
    opened = tiny(arrays_npz).data.open()
    _, validate = RandomSplit(validation=0.2, seed=1).split(opened.train)
    theirs, _ = RandomSplit(validation=0.2).split(opened.train)
    return opened, validate, len(set(validate.tolist()) & set(theirs.tolist()))


def test_samples_that_a_run_learned_are_counted(arrays_npz, trained, sides):
    opened, validate, both = sides
    assert both > 3
    model = ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), pretrained=f"{trained}#last")
    encoder = ImageEncoder(model=model, images=Images(size=(16, 16)))
    for config in (
        tiny(arrays_npz, model=model),
        Ridge(data=tiny(arrays_npz).data, encoders=(encoder, encoder)),
    ):
        (line,) = learned_before(config, opened, validate)
        assert f"{trained}#last were trained on {both} of the 9 samples for validation" in line


def test_a_run_with_a_pretext_task_beside_labels_learned_them(arrays_npz, trained, tmp_path, sides):
    """One of the task alone did not."""
    opened, validate, both = sides
    run, turn = copytree(trained, tmp_path / "run"), Objective(of="pretext", loss=CrossEntropy())
    config, said = json.loads((run / "config.json").read_text()), []
    for goals in ({"activity": Objective(), "turn": turn}, {"turn": turn}):
        own = tiny(arrays_npz, objectives=goals, pretext=Rotation(), head=Linear(), loss=Mse())
        (run / "config.json").write_text(json.dumps({**config, "experiment": to_json(own)}))
        said.append(learned_before(tiny(arrays_npz, f"model.pretrained={run}"), opened, validate))
    assert f"were trained on {both} of the 9 samples for validation" in said[0][0]
    assert said[1] == []


def test_a_subjects_samples_are_counted_that_a_run_of_several_learned(pooled, pooled_folders, tmp_path):
    """By the split of all; where their data are gone, and that cannot be told, it is said."""
    run, pool = copytree(pooled / "fold0", tmp_path / "run"), Pooled(root=str(pooled_folders))
    learn, _ = jaxlab.load(run).experiment.split.split(pool.open().train)
    samples = pool.open().train.ids[learn].tolist()
    child = tiny(pooled_folders, f"model.pretrained={run}", data=KaggleTable())
    others = Pooled(sources={"new": pool.of_subjects()["s2"], "s10": pool.of_subjects()["s10"]}).open()
    ids = [f"s2/{name.removeprefix('new/')}" if "new/" in name else name for name in others.train.ids]
    for opened, own in ((others.subjects["new"], ids[: TRAIN["s2"]]), (others, ids)):
        both = len(set(samples) & set(own))
        (line,) = learned_before(child, opened, np.arange(len(own)))
        assert f"were trained on {both} of the {len(own)} samples" in line
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace(str(pooled_folders), str(tmp_path / "gone")))
    (line,) = learned_before(child, others, np.arange(len(ids)))
    assert "among other subjects', and which of them it validated on cannot be told" in line
    info = json.loads((run / "run.json").read_text())
    del info["data"]["subjects"]  # as an earlier version left it
    (run / "run.json").write_text(json.dumps(info))
    assert learned_before(child, others, np.arange(len(ids))) == []


def test_nothing_is_said_by_the_same_split_or_of_other_data(arrays_npz, trained, sides):
    opened, validate, _ = sides
    config = tiny(arrays_npz, f"model.pretrained={trained}")
    _, same = config.split.split(opened.train)
    assert learned_before(config, opened, same) == []
    others = replace(opened, train=replace(opened.train, target=np.asarray(opened.train.target) + 1))
    assert learned_before(config, others, validate) == []
    assert learned_before(tiny(arrays_npz), opened, validate) == []
