"""Distillation: another run's predictions as a truth, matched by id."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import softmax
from tiny import tiny, train

from jaxlab.cli.main import main
from jaxlab.core.config import anchored, from_json, identity, to_json
from jaxlab.core.types import UserError
from jaxlab.experiment import Objective, Teacher
from jaxlab.experiment.recipe import resolve
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.objectives import resolved
from jaxlab.training import journal
from submit import Predictions

IDS = np.array([f"train-{number:06d}" for number in range(44)])
RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(44, 3)).astype(np.float32)


def saved(path, values, ids=IDS, kind="regression"):
    """In an order of their own."""
    order = np.random.default_rng(0).permutation(len(ids))
    names = np.array([f"c{number}" for number in range(values.shape[1])])
    Predictions(ids[order], values[order], names, kind=kind).save(path)
    return str(path)


def objective(of, loss=None):
    fields = {} if loss is None else {"loss": loss}
    return Objective(head=Linear(layer="level1"), of=of, **fields)


def of_classes(path):
    return objective(Teacher(predictions=path), CrossEntropy())


def test_probabilities_are_matched_by_id_and_logits_are_their_softmax(tmp_path):
    probabilities = softmax(LOGITS, axis=1)
    logits = saved(tmp_path / "logits.npz", LOGITS, kind="logits")
    halves = tuple(
        saved(tmp_path / f"{k}.npz", probabilities[k::2], IDS[k::2], "probabilities") for k in (0, 1)
    )
    for files in (logits, halves):
        teacher = Teacher(predictions=files)
        assert teacher.targets("classification") == ("c0", "c1", "c2")
        np.testing.assert_allclose(teacher.probabilities(IDS[5:9]), probabilities[5:9], rtol=1e-5)
    one = resolved({"a": of_classes(logits)}, {"a": ("c0", "c1", "c2")})[0]
    np.testing.assert_array_equal(one.scored(probabilities), LOGITS.argmax(1))


def test_numbers_are_matched_by_id(tmp_path):
    teacher = Teacher(predictions=saved(tmp_path / "a.npz", LOGITS))
    np.testing.assert_array_equal(teacher.numbers(IDS[::-3]), LOGITS[::-3])


def test_the_shares_of_classes_are_those_of_probabilities(tmp_path):
    path = saved(tmp_path / "a.npz", LOGITS, kind="logits")
    weighted = objective(Teacher(predictions=path), CrossEntropy(class_weight_strength=0.5))
    one = resolved({"a": weighted}, {"a": ("c0", "c1", "c2")})[0]
    shares = one.constants(softmax(LOGITS, axis=1), standardize=True)["class_share"]
    np.testing.assert_allclose(shares, softmax(LOGITS, axis=1).mean(0), rtol=1e-5)


def test_what_a_teacher_says_is_part_of_the_datas_fingerprint_and_its_path_of_nothing(arrays_npz, tmp_path):
    plain, opened = tiny(arrays_npz), tiny(arrays_npz).data.open()

    def taught(path):
        return replace(plain, head=Linear(), objectives={"a": of_classes(path)})

    here, there = (
        saved(tmp_path / name, values, kind="logits")
        for name, values in (("a.npz", LOGITS), ("b.npz", LOGITS))
    )
    other = saved(tmp_path / "c.npz", LOGITS + RNG.normal(size=LOGITS.shape), kind="logits")
    assert taught(here).fingerprint(opened) == taught(there).fingerprint(opened)
    assert len({one.fingerprint(opened) for one in (plain, taught(here), taught(other))}) == 3
    assert identity(taught(here)) == identity(taught(other))
    assert from_json(to_json(taught(here))) == taught(here)
    assert anchored(taught(here)).objectives["a"].teacher.predictions == here


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda path: saved(path, LOGITS[:40], IDS[:40], "logits"),
            r"no predictions for 4 of the 44 labelled samples",
        ),
        (
            lambda path: saved(path, LOGITS),
            "holds regression, but the objective's loss is for classification",
        ),
        (
            lambda path: saved(path, LOGITS, kind="probabilities"),
            "expected probabilities, 0 or more and 1 in all",
        ),
        (lambda path: str(path), r"a\.npz: No such file"),
        (lambda path: (saved(path, LOGITS, kind="logits"),) * 2, "44 samples are in several files"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(arrays_npz, tmp_path, make, words):
    experiment = tiny(arrays_npz)
    one = of_classes(make(tmp_path / "a.npz"))
    experiment = replace(experiment, head=Linear(), objectives={"a": one})
    opened = experiment.data.open()
    with pytest.raises(UserError, match=words):
        resolve(experiment, opened)


@pytest.mark.slow
def test_a_network_learns_from_two_teachers(arrays_npz, tmp_path):
    numbers = saved(tmp_path / "numbers.npz", 30 + 2 * LOGITS)
    classes = saved(tmp_path / "classes.npz", softmax(LOGITS, axis=1), kind="probabilities")
    objectives = {"numbers": objective(Teacher(predictions=numbers)), "classes": of_classes(classes)}
    whole = replace(tiny(arrays_npz), head=Linear(), objectives=objectives)
    run = train(whole, tmp_path / "run")
    last = journal.read(run / "metrics.jsonl", "validation")[-1]
    assert {"pearson", "classes/accuracy", "classes/loss"} <= last.keys()
    details = ["evaluate", str(run), "--details", "--objective", "classes"]
    for command in (["evaluate", str(run), "--json"], details, ["inspect", str(run)], ["predict", str(run)]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    assert Predictions.load(run / "predictions/test.npz").targets.tolist() == ["c0", "c1", "c2"]
    shown = CliRunner().invoke(main, ["inspect", str(run)]).output
    assert "classes: Linear, CrossEntropy of a Teacher, weight 1" in " ".join(shown.split())
