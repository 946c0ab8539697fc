"""Distillation: another run's predictions as a truth, matched by id."""

from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.special import log_softmax, softmax
from scipy.stats import pearsonr
from tiny import tiny, train

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.config import anchored, from_json, identity, to_json
from jaxlab.core.types import UserError
from jaxlab.data import ImageTree
from jaxlab.experiment import Experiment, Objective, Teacher, Training
from jaxlab.experiment.inputs import truth_of
from jaxlab.experiment.recipe import resolve
from jaxlab.heads import Linear, PerSubject
from jaxlab.losses import END, CrossEntropy, Mse, Ramp
from jaxlab.objectives import resolved
from jaxlab.training import journal
from jaxlab.training.sharding import Layout
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
    whole = tiny(arrays_npz)
    targets = np.array(whole.data.open().targets)
    Predictions(IDS, np.full((44, 5), 10, np.float32), targets).save(tmp_path / "own.npz")
    objectives = {
        "numbers": objective(Teacher(predictions=numbers)),
        "classes": of_classes(classes),
        "both": distilled("activity", str(tmp_path / "own.npz"), share=0.25),
    }
    whole = replace(whole, head=Linear(), objectives=objectives)
    run = train(whole, tmp_path / "run")
    last = journal.read(run / "metrics.jsonl", "validation")[-1]
    assert {"pearson", "classes/accuracy", "classes/loss"} <= last.keys()
    parts = 0.75 * last["both/loss/truth"] + 0.25 * last["both/loss/teacher"]
    assert last["both/loss"] == pytest.approx(parts, rel=1e-4)
    details = ["evaluate", str(run), "--details", "--objective", "classes"]
    for command in (["evaluate", str(run), "--json"], details, ["inspect", str(run)], ["predict", str(run)]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
    assert Predictions.load(run / "predictions/test.npz").targets.tolist() == ["c0", "c1", "c2"]
    shown = " ".join(CliRunner().invoke(main, ["inspect", str(run)]).output.split())
    assert "classes: Linear, CrossEntropy of a Teacher, weight 1" in shown
    assert "both: Linear, Mse and a Teacher, weight 1" in shown

    arrays = dict(np.load(arrays_npz))  # other data, of which no teacher has said anything
    new = {name: np.concatenate([arrays[name], arrays[name][:6]]) for name in ("images", "targets")}
    np.savez(tmp_path / "new.npz", **new)
    again = jaxlab.load(run, [f"data.root={tmp_path / 'new.npz'}"])
    ((_, found),) = again.evaluation("last").items()
    values = again.predicting("both").predict(new["images"], "last")
    r = [pearsonr(*pair).statistic for pair in zip(values.T, new["targets"].T, strict=True)]
    assert found["all"]["both/pearson"] == pytest.approx(np.mean(r), abs=1e-5)


# -- beside the data's truth, on one head


LABELS = np.array([number % 3 for number in range(44)], np.int32)


def distilled(of, path, temperature=1.0, share=0.7):
    teacher = Teacher(predictions=path, temperature=temperature)
    loss = CrossEntropy() if of == "label" else Mse()
    return Objective(head=Linear(layer="level1"), loss=loss, distill=teacher, distill_share=share)


def samples_with(**truth):
    return SimpleNamespace(ids=IDS, columns={}, **{"label": None, "target": None, **truth})


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_classes_are_learned_from_truth_and_teacher_as_hinton_has_it(tmp_path, kind):
    """Hinton et al. 2015, section 2, in float64: (1 - a) H(y, p) + a T^2 H(q at T, p at T)."""
    logits, share, heat = 4 * LOGITS.astype(float), 0.7, 3.0
    path = saved(tmp_path / "a.npz", logits if kind == "logits" else softmax(logits, axis=1), kind=kind)
    (one,) = resolved({"label": distilled("label", path, heat, share)}, {"label": ("c2", "c0", "c1")})
    samples = samples_with(label=LABELS)
    truth = truth_of((one,), samples)
    assert truth.keys() == {"label", "label.teacher"}
    own = np.random.default_rng(1).normal(size=(44, 3))
    taught = softmax(logits[:, [2, 0, 1]] / heat, axis=1)
    hard = -log_softmax(own, axis=1)[np.arange(44), LABELS]
    soft = -(taught * log_softmax(own / heat, axis=1)).sum(1) * heat**2
    found = one.losses(jnp.asarray(own, jnp.float32), truth["label"], {}, None, taught=truth["label.teacher"])
    np.testing.assert_allclose(found.loss, (1 - share) * hard + share * soft, rtol=1e-4)
    np.testing.assert_allclose(found.terms["truth"], hard, rtol=1e-4)
    np.testing.assert_allclose(found.terms["teacher"], soft, rtol=1e-4)
    assert one.start().terms.keys() == {"truth", "teacher"}
    assert (one.scored(truth["label"]) == LABELS).all()


def test_numbers_are_learned_from_truth_and_teacher_where_the_truth_is_missing_too(tmp_path):
    truth = RNG.normal(3, 2, (44, 3)).astype(np.float32)
    truth[::4, 1] = np.nan
    said = 3 + 2 * LOGITS
    path = saved(tmp_path / "a.npz", said)
    fading = Ramp(start=1.0, end=0.25, epochs=4)
    objective = distilled("activity", path, share=fading)
    (one,) = resolved({"activity": objective}, {"activity": ("c1", "c2", "c0")}, missing=True)
    sent = truth_of((one,), samples_with(target=truth))
    constants = one.constants(truth, standardize=True)
    outputs = RNG.normal(size=(44, 3)).astype(np.float32)
    mean, scale = np.nanmean(truth, 0), np.nanstd(truth, 0)
    wrong, apart = (np.square(outputs - (side - mean) / scale) for side in (truth, said[:, [1, 2, 0]]))
    for epoch, share in ((1.0, 0.8125), (END, 0.25)):
        found = one.losses(
            jnp.asarray(outputs), sent["activity"], constants, lambda values: values.sum(0), epoch,
            jnp.asarray(sent["activity.teacher"]),
        )  # fmt: skip
        assert float(found.loss.mean()) == pytest.approx(
            (1 - share) * np.nanmean(wrong) + share * apart.mean(), rel=1e-4
        )
    assert float(one.changing(1.0)["teacher"]) == 0.8125


def test_a_temperature_is_that_of_a_teacher_alone_too(tmp_path):
    path = saved(tmp_path / "a.npz", LOGITS, kind="logits")
    warm = objective(Teacher(predictions=path, temperature=2.0), CrossEntropy())
    (one,) = resolved({"a": warm}, {"a": ("c0", "c1", "c2")})
    own = RNG.normal(size=(44, 3))
    found = one.losses(jnp.asarray(own, jnp.float32), one.truth(samples_with()), {}, None).loss
    expected = -4 * (softmax(LOGITS / 2, axis=1) * log_softmax(own / 2, axis=1)).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda path: distilled("activity", path, 2.0),
            r"Teacher\.temperature: is for classes, but loss=Mse\(\)",
        ),
        (
            lambda path: distilled("label", path, 0.0),
            r"Teacher\.temperature: expected more than 0, found 0\.0",
        ),
        (lambda path: distilled("label", path, share=1.5), "expected more than 0 and up to 1, found 1.5"),
        (
            lambda path: Objective(distill_share=0.3),
            r"expected distill=Teacher\(\.\.\.\) beside it, found 0\.3 alone",
        ),
        (
            lambda path: replace(distilled("label", path), of=Teacher(predictions=path)),
            r"expected one teacher, found of=Teacher\(\.\.\.\) and distill=Teacher\(\.\.\.\)",
        ),
    ],
)
def test_what_no_teacher_can_be_beside_the_truth_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make("a.npz")


def test_a_teacher_beside_the_truth_has_to_know_all_that_is_learned(arrays_npz, tmp_path):
    whole = tiny(arrays_npz)
    opened = whole.data.open()
    values = np.zeros((40, 5), np.float32)
    Predictions(IDS[:40], values, np.array(opened.targets)).save(tmp_path / "a.npz")
    goal = distilled("activity", str(tmp_path / "a.npz"))
    with pytest.raises(UserError, match="no predictions for 4 of the 44 labelled samples"):
        resolve(replace(whole, head=Linear(), objectives={"activity": goal}), opened)


def test_a_teacher_of_other_targets_is_refused_before_anything_is_read(arrays_npz, tmp_path):
    whole = tiny(arrays_npz)
    own = saved(tmp_path / "a.npz", np.c_[LOGITS, LOGITS])
    whole = replace(whole, head=Linear(), objectives={"activity": distilled("activity", own)})
    with pytest.raises(
        UserError,
        match=r"a\.npz: beside .* the same targets, expected 5, found 6, of which 6 are others \(c0, .* 5 lack",
    ):
        resolve(whole, whole.data.open())


def test_a_distilled_run_is_another_and_those_of_before_are_as_they_were(arrays_npz, tmp_path):
    plain, opened = tiny(arrays_npz), tiny(arrays_npz).data.open()
    path = saved(tmp_path / "a.npz", np.zeros((44, 5), np.float32))
    taught = replace(plain, head=Linear(), objectives={"activity": distilled("activity", path)})
    assert taught.fingerprint(opened) != plain.fingerprint(opened)
    assert from_json(to_json(taught)) == taught
    known = to_json(Objective(of=Teacher(predictions="a.npz")))
    assert not {"distill", "distill_share"} & known.keys()
    assert "temperature" not in known["of"]


def test_images_without_any_truth_learn_from_a_teacher_of_several_subjects(tmp_path):
    """By id, from a folder of images; predictions of all subjects teach a readout each."""
    rng = np.random.default_rng(3)
    for k in range(20):
        (tmp_path / f"images/{k % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(
            tmp_path / f"images/{k % 2}/{k:02d}.png"
        )
    ids = [f"{k % 2}/{k:02d}.png" for k in rng.permutation(20)]
    names, values = ["s1/a", "s1/b", "s2/a"], rng.normal(size=(20, 3)).astype(np.float32)
    Predictions(ids, values, names, "regression").save(tmp_path / "teacher.npz")
    taught = Objective(of=Teacher(predictions=str(tmp_path / "teacher.npz")), head=PerSubject(head=Linear()))
    experiment = Experiment(
        data=ImageTree(root=str(tmp_path / "images")),
        objectives={"told": taught},
        training=Training(steps=1, batch_size=4),
    )
    opened = experiment.data.open()
    recipe = resolve(experiment, opened)
    layout = Layout("single", 4)
    said = dict(zip(ids, values, strict=True))
    for portion in recipe.input.portions(opened, recipe.training.positions, layout):
        np.testing.assert_array_equal(portion.truth["told"], [said[name] for name in portion.ids.tolist()])
    assert recipe.task.targets == {"told": tuple(names)}
    (tmp_path / "images/0/20.png").write_bytes((tmp_path / "images/0/00.png").read_bytes())
    with pytest.raises(UserError, match="no predictions for 1 of the 21 labelled samples"):
        resolve(experiment, experiment.data.open())
