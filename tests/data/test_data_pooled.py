"""Several subjects as one source, against tables and images that numpy made."""

import shutil

import numpy as np
import pytest
from pooled_folders import SEEN, SHARED, TARGETS, TEST, TRAIN, images_of, targets_of, write

from jaxlab import UserError
from jaxlab.core.config import from_json, identity, override, to_json
from jaxlab.core.overrides import value_at
from jaxlab.data import (
    Algonauts,
    Arrays,
    Images,
    KaggleTable,
    KFold,
    Pooled,
    RandomSplit,
    Simulated,
    fingerprint,
)
from jaxlab.data.split import spread
from jaxlab.encode import CachedFeatures, ImageEncoder
from jaxlab.experiment import Experiment
from jaxlab.experiment.sides import positions_of, unvalidated
from jaxlab.heads import Linear, Rates
from jaxlab.losses import Poisson
from jaxlab.models import ShallowCNN


@pytest.fixture(scope="module")
def opened(pooled_folders):
    return Pooled(root=str(pooled_folders)).open()


def test_samples_and_targets_lie_in_blocks(opened):
    rows = np.repeat(list(TRAIN), list(TRAIN.values()))
    columns = np.repeat(list(TARGETS), list(TARGETS.values()))
    assert opened.train.columns["subject"].tolist() == rows.tolist()
    assert opened.train.ids.tolist() == [f"{s}/{k:03d}" for s, n in TRAIN.items() for k in range(n)]
    assert opened.targets == tuple(f"{s}/n{k}" for s, n in TARGETS.items() for k in range(n))
    truth = np.asarray(opened.train.target[np.arange(len(rows))])
    assert (np.isnan(truth) == (rows[:, None] != columns[None])).all()
    for subject in TRAIN:
        np.testing.assert_array_equal(truth[np.ix_(rows == subject, columns == subject)], targets_of(subject))
        assert (opened.rois[subject] == (columns == subject)).all()
    assert opened.test.ids.tolist() == [f"{s}/t{k}" for s in TRAIN for k in range(TEST)]
    np.testing.assert_array_equal(opened.train.read(TRAIN["s1"] + 1), images_of("s2")[1])
    np.testing.assert_array_equal(opened.test.read(2 * TEST), images_of("s10")[TRAIN["s10"]])


def test_images_that_several_saw_are_one(opened):
    train = opened.train
    first = train.image_of[3 : 3 + SHARED]
    again = train.image_of[TRAIN["s1"] : TRAIN["s1"] + SHARED]
    assert first.tolist() == again.tolist()
    assert len(np.unique(train.image_of)) == sum(TRAIN.values()) - SHARED
    told = "\n".join(opened.notes)
    assert f"{SHARED} images of {sum(TRAIN.values()) - SHARED} for training have several samples" in told
    assert f"{SEEN} test images are among the images for training" in told
    assert f"s10: {SEEN}" in told


@pytest.mark.parametrize("seed", range(5))
def test_no_split_has_an_image_on_both_sides(opened, seed):
    for split in (RandomSplit(validation=0.3, seed=seed), KFold(folds=3, seed=seed)):
        learn, validate = split.split(opened.train)
        images = opened.train.image_of
        assert not set(images[learn].tolist()) & set(images[validate].tolist())
        assert sorted([*learn, *validate]) == list(range(len(images)))


def test_what_is_no_subject_is_named(opened, tmp_path):
    assert any("empty: is no folder of KaggleTable(), and is left out" in note for note in opened.notes)
    root = write(tmp_path / "some")
    shutil.rmtree(root / "s2" / "train")
    with pytest.raises(UserError, match=r"1 of 4 subjects cannot be read: s2: .*expected a folder of images"):
        Pooled(root=str(root)).open()
    with pytest.raises(
        UserError, match=r"s1: is one subject's folder; expected the one that holds those of all"
    ):
        Pooled(root=str(root / "s1")).open()
    with pytest.raises(UserError, match="expected a folder for each subject in it, found none"):
        Pooled(root=str(root / "s1" / "test")).open()


def test_a_field_of_a_subject_with_a_point_in_its_name_is_set():
    named = Pooled(sources={"s": KaggleTable(root="s"), "s.1": KaggleTable(root="s.1")})
    changed = override(named, ["sources.s.1.root=there", "sources.s.1.id_column=name", "sources.s.root=here"])
    assert [one.root for one in changed.sources.values()] == ["here", "there"]
    assert value_at(changed, "sources.s.1.root") == "there"
    with pytest.raises(UserError, match=r"--set sources.s.1.rot=x: .* nearest: root"):
        override(named, ["sources.s.1.rot=x"])


def test_sources_by_name_are_the_same_as_folders(opened, pooled_folders):
    sources = {name: KaggleTable(root=str(pooled_folders / name)) for name in TRAIN}
    named = Pooled(sources=sources)
    assert fingerprint(named.open()) == fingerprint(opened)
    moved = override(named, [f"sources.s2.root={pooled_folders / 's10'}"])
    assert moved.open().targets[3:7] == ("s2/n0", "s2/n1", "s2/n2", "s2/n3")
    assert from_json(to_json(named)) == named
    assert identity(named) == identity(moved)
    encoder = ImageEncoder(model=ShallowCNN(), images=Images(size=(16, 16)))
    within = CachedFeatures(data=named, encoders=(encoder,)).of_subjects()
    assert [one.data for one in within.values()] == list(sources.values())


def test_test_images_need_no_table(pooled_folders, tmp_path):
    shutil.copytree(pooled_folders / "s1" / "test", tmp_path / "s1" / "test")
    shutil.copytree(pooled_folders / "s10" / "train", tmp_path / "s10" / "train")
    samples, _ = Pooled(root=str(tmp_path)).open_test()
    assert samples.ids.tolist() == [f"s1/t{k}" for k in range(TEST)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"root": ".", "sources": {"a": KaggleTable()}}, "expected sources, or root and each, found both"),
        ({"sources": {"a/b": KaggleTable()}}, "names that a folder may have"),
        ({"sources": {"..": KaggleTable()}}, "names that a folder may have"),
        ({"sources": {"a": Pooled()}}, "a is of several subjects already"),
        ({"each": Simulated()}, "expected a source with a root"),
        ({"each": Algonauts(root="x")}, "expected no root, which each subject has in data.root, found x"),
    ],
)
def test_fields_that_contradict_one_another(fields, words):
    with pytest.raises(UserError, match=words):
        Pooled(**fields)


def test_classes_are_refused(arrays_npz):
    sources = {"a": Arrays(root=str(arrays_npz)), "b": Simulated(kind="classification", images=4, size=16)}
    with pytest.raises(UserError, match="expected numbers to predict of every subject, found classes of b"):
        Pooled(sources=sources).open()


class Unsure(Poisson):
    """A loss of the user's own, which says nothing of gaps."""

    def __call__(self, outputs, truth):
        return super().__call__(outputs, truth)


def test_a_loss_that_takes_no_gaps_is_told():
    with pytest.raises(UserError, match=r"data=Pooled\(\.\.\.\).*Unsure does not leave out missing targets"):
        Experiment(data=Pooled(), head=Rates(head=Linear()), loss=Unsure())


def test_a_batch_may_be_of_one_subject(pooled_folders):
    samples = Pooled(root=str(pooled_folders), batches="one").open().train
    assert samples.batch_of.tolist() == [k for k, number in enumerate(TRAIN.values()) for _ in range(number)]
    assert Pooled(root=str(pooled_folders)).open().train.batch_of is None


def test_a_limit_leaves_some_of_everybody(opened):
    """As many of each, or all there are: smoke tests, and quick looks, have every subject's targets."""
    subject = opened.train.columns["subject"]
    for limit, counts in ((3, (1, 1, 1)), (8, (3, 3, 2)), (45, (17, 16, 12)), (None, tuple(TRAIN.values()))):
        rows = spread(np.arange(len(subject)), limit, subject)
        assert (np.diff(rows) > 0).all()
        assert [(subject[rows] == name).sum() for name in TRAIN] == list(counts)
    experiment = Experiment(data=Pooled(root="anywhere"), limit=6, split=RandomSplit(validation=0.4))
    assert {len(side) for side in positions_of(experiment, opened)} == {6}
    for side in positions_of(experiment, opened):
        assert np.unique(subject[side], return_counts=True)[1].tolist() == [2, 2, 2]
    assert experiment.smoke().limit >= 2 * 16


def test_subjects_without_two_samples_for_validation_are_said(opened):
    (line,) = unvalidated(opened, np.array([0, 1, 30]))  # two of s1, one of s2
    assert line.startswith("fewer than two samples of s2, s10 are for validation")
    assert unvalidated(opened, np.array([0, 1, 30, 31, 50, 51])) == []


def test_columns_that_pooling_adds_can_be_learned(opened):
    assert fingerprint(opened, ["subject", "image"]) == fingerprint(opened)
