"""The order probe: aligned predictions pass, planted misalignments are found and named."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import pearsonr

from submit import Labels, Predictions, SubmissionError
from submit.cli.main import main
from submit.scores.exchanged_orders import orders
from submit.scores.pairing import paired
from submit.scores.probe import probe

N, T = 120, 12
IDS = np.array([f"img{i}" for i in range(N)])  # img10 before img2 as text
TARGETS = np.array([f"n{i}" for i in range(T)])


@pytest.fixture(scope="module")
def truth() -> Predictions:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(N, 6)) @ rng.normal(size=(6, T))  # neurons are much alike
    return Predictions(IDS, shared + rng.normal(size=(N, T)), TARGETS)


@pytest.fixture(scope="module")
def values(truth) -> np.ndarray:
    """Of a fair model, r about 0.8, with two targets that it cannot predict."""
    noisy = truth.values + 1.5 * np.random.default_rng(1).normal(size=(N, T))
    noisy[:, 5:7] = np.random.default_rng(2).normal(size=(N, 2))
    return noisy


def test_aligned_predictions_pass_whatever_the_order_of_their_files(truth, values):
    rows, columns = np.random.default_rng(3).permutation(N), np.random.default_rng(4).permutation(T)
    moved = Predictions(IDS[rows], values[rows][:, columns], TARGETS[columns])
    found = probe(paired(moved, truth))
    expected = [pearsonr(x, y).statistic for x, y in zip(values.T, truth.values.T, strict=True)]
    assert found.score == pytest.approx(np.mean(expected), abs=1e-5)
    assert found.findings == ()
    assert abs(found.shuffled.mean()) < 0.01
    assert found.shuffled.max() < found.score / 2
    assert len(found.rows) == 6 + 3 * 3  # three orders of ids: the numbers' is the solution's


def as_text(ids: np.ndarray) -> np.ndarray:
    return np.argsort(ids)


SWAPPED = [3, 1, 2, 0, *range(4, T)]
PLANTED = {
    "ids one late, in the solution's order": lambda x: np.roll(x, 1, axis=0),
    "ids one early, in the solution's order": lambda x: np.roll(x, -1, axis=0),
    "ids back to front, in the solution's order": lambda x: x[::-1],
    "ids in the solution's order, values in the order as text": lambda x: x[as_text(IDS)],
    "targets one late, in the solution's order": lambda x: np.roll(x, 1, axis=1),
    "targets in the solution's order, values in the order as text": lambda x: x[:, as_text(TARGETS)],
    "targets seem exchanged": lambda x: x[:, SWAPPED],
    "by id the score is": lambda x: x[np.random.default_rng(5).permutation(N)],
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_misalignment_is_found_and_named(truth, values, name):
    found = probe(paired(Predictions(IDS, PLANTED[name](values), TARGETS), truth))
    assert any(name in finding for finding in found.findings), found.findings
    if name == "targets seem exchanged":
        assert "'n0 holds n3', 'n3 holds n0'" in found.findings[0]


def test_an_order_of_few_samples_is_named_where_no_shuffle_reaches_it(truth, values):
    few = Predictions(IDS[:12], truth.values[:12, :3], TARGETS[:3])
    found = probe(paired(Predictions(few.ids, np.roll(values[:12, :3], 1, axis=0), few.targets), few))
    assert found.notes[0].startswith("by id the score is ")
    assert found.notes[1].startswith("it may be that the score is 0.")
    assert found.notes[1].endswith("if they are taken so: ids one late, in the solution's order.")
    assert found.findings == ()  # a correlation of chance is as high among 12 samples


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_permutation_of_all_columns_is_found(truth, values, seed):
    moved = values[:, np.random.default_rng(seed).permutation(T)]
    found = probe(paired(Predictions(IDS, moved, TARGETS), truth))
    assert any("targets seem exchanged" in finding for finding in found.findings)


def test_columns_of_a_weak_model_are_found_together(truth):
    """Too weak for any pair to stand out; by name they score no more than shuffled."""
    rng = np.random.default_rng(6)
    weak = truth.values + 10 * rng.normal(size=(N, T))
    assert probe(paired(Predictions(IDS, weak, TARGETS), truth)).findings == ()
    found = probe(paired(Predictions(IDS, weak[:, rng.permutation(T)], TARGETS), truth))
    assert any(
        "by name the targets score" in one or "by id the score is" in one
        for one in found.findings + found.notes
    )


@pytest.mark.parametrize("seed", range(8))
def test_columns_that_are_much_alike_are_not_called_exchanged(seed):
    """Readouts of four dimensions, with errors, of targets that are easy and hard."""
    rng = np.random.default_rng(seed)
    latent, readout = rng.normal(size=(300, 4)), rng.normal(size=(4, 40))
    truth = Predictions(
        np.arange(300).astype(str),
        latent @ readout * rng.uniform(0.1, 2, 40) + rng.normal(size=(300, 40)),
        np.arange(40).astype(str),
    )
    guessed = latent @ (readout + 0.4 * rng.normal(size=readout.shape)) + 0.3 * rng.normal(size=(300, 40))
    assert probe(paired(Predictions(truth.ids, guessed, truth.targets), truth)).findings == ()


def test_a_constant_or_nonsense_prediction_does_not_pass(truth):
    for guess in (np.ones((N, T)), np.random.default_rng(7).normal(size=(N, T)), np.full((N, T), np.nan)):
        found = probe(paired(Predictions(IDS, guess, TARGETS), truth))
        assert found.findings[0].startswith("by id the score is ")
        assert "or predict nothing" in found.findings[0]


def labels(rng: np.random.Generator) -> tuple[Labels, np.ndarray]:
    names = np.array(["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"])
    return Labels(IDS, rng.choice(names, N)), names


def test_classes_off_by_one_or_exchanged(truth):
    rng = np.random.default_rng(8)
    solution, names = labels(rng)
    scores = rng.normal(size=(N, 10)) + 3 * (solution.labels[:, None] == names)
    fair = probe(paired(Predictions(IDS, scores, names, "logits"), solution))
    assert fair.findings == ()
    assert fair.score == pytest.approx(np.mean(names[scores.argmax(1)] == solution.labels), abs=1e-6)
    late = probe(paired(Predictions(IDS, np.roll(scores, 1, axis=1), names, "logits"), solution))
    assert any("classes one late" in finding for finding in late.findings)
    swapped = probe(paired(Predictions(IDS, scores[:, [1, 0, *range(2, 10)]], names, "logits"), solution))
    assert "classes seem exchanged: 'ant holds bee', 'bee holds ant'" in swapped.findings[0]


def test_samples_sorted_by_class_are_not_called_one_late():
    """Their neighbours are alike, so that by chance some score higher one late."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        classes = np.sort(rng.integers(0, 5, N))
        guessed = np.where(rng.random(N) < 0.4, classes, rng.integers(0, 5, N))
        sides = (Labels(IDS, np.array(list("abcde"))[side]) for side in (guessed, classes))
        assert probe(paired(*sides), shuffles=200).findings == ()


def test_of_many_samples_sorted_by_class_some_of_each_are_probed():
    rng = np.random.default_rng(0)
    ids = np.array([f"{i:04d}" for i in range(9000)])
    classes = np.repeat([0, 1], 4500)
    guessed = np.where(rng.random(9000) < 0.9, classes, 1 - classes)
    sides = [Labels(ids, np.array(["a", "b"])[side]) for side in (guessed, classes)]
    found = probe(paired(*sides), shuffles=20)
    assert found.samples == 4096
    assert found.findings == ()
    values = rng.normal(size=(9000, 3))
    truth = Predictions(ids, values, np.array(["x", "y", "z"]))
    late = Predictions(ids, np.roll(values, 1, axis=0), truth.targets)
    assert "ids one late, in the solution's order" in probe(paired(late, truth), shuffles=20).findings[-1]


@pytest.mark.parametrize("scale", [1e-25, 1e25])  # whose squares are no float32
def test_the_unit_of_the_values_does_not_matter(truth, values, scale):
    found = probe(paired(Predictions(IDS, values * scale, TARGETS), truth), shuffles=20)
    assert found.score == pytest.approx(
        probe(paired(Predictions(IDS, values, TARGETS), truth)).score, abs=1e-5
    )


def test_orders_that_agree_are_tried_once():
    found = orders(np.array(["2", "10", "1"]), np.array([2, 0, 1]))
    assert {name: order.tolist() for name, order in found.items()} == {
        "the solution's order": [0, 1, 2],
        "the predictions' order": [1, 2, 0],
        "the order as text": [2, 1, 0],
        "the order as numbers": [2, 0, 1],
    }
    assert list(orders(np.array(["a1", "a2"]), np.array([0, 1]))) == ["the solution's order"]


def drawn(seed: int, n: int, t: int, r: float, rank: int = 0) -> tuple[np.ndarray, Predictions]:
    """Predictions of correlation r, and their truth, of `rank` shared signals, or of independent targets for 0."""
    rng = np.random.default_rng(seed)
    sides = [
        rng.normal(size=(n, rank)) @ rng.normal(size=(rank, t)) if rank else rng.normal(size=(n, t))
        for _ in range(2)
    ]
    truth, noise = (side / side.std(0) for side in sides)
    ids, targets = np.arange(1000, 1000 + n).astype(str), np.array([f"n{k}" for k in range(t)])
    return r * truth + np.sqrt(1 - r * r) * noise, Predictions(ids, truth, targets)


def probed(values: np.ndarray, truth: Predictions):
    return probe(paired(Predictions(truth.ids, values, truth.targets), truth), shuffles=200)


@pytest.mark.parametrize(
    ("n", "t", "r", "rank"),
    [(12, 3, 0.3, 0), (12, 3, 0.6, 0), (40, 6, 0.3, 0), (100, 20, 0.5, 1), (60, 30, 0.3, 2)],
)
def test_aligned_predictions_raise_no_alarm_however_weak_or_alike(n, t, r, rank):
    """The kind: few samples, weak predictions, and targets that share their signals, where chance looks amiss."""
    assert [seed for seed in range(20) if probed(*drawn(seed, n, t, r, rank)).findings] == []


@pytest.mark.parametrize("start", [0.2, 0.5, 0.6])
@pytest.mark.parametrize("shift", [1, -1, 2])
def test_rows_that_are_late_or_early_from_some_sample_on(start, shift):
    """The kind: a part of an order is shifted, as where a sample was lost, or is there twice."""
    for seed in range(5):
        values, truth = drawn(seed, 100, 30, 0.5)
        cut, moved = int(100 * start), values.copy()
        moved[cut:] = np.roll(values, shift, axis=0)[cut:]
        findings = probed(moved, truth).findings
        if any("ids one" in one for one in findings):  # as good as all of them
            assert start == 0.2
            continue
        words = f"{abs(shift)} {'late' if shift > 0 else 'early'}, in the solution's order"
        (finding,) = (one for one in findings if words in one)
        first = int(finding.partition("from about '")[2].partition("'")[0])
        assert abs(first - 1000 - cut) <= 8
        upside_down = np.concatenate([moved[cut:], moved[:cut]])
        assert probed(upside_down[::-1], truth).findings


def test_samples_in_one_anothers_place():
    """The kind: some rows, two or half of all, lie under one another's ids; told where targets tell samples apart."""
    for seed in range(5):
        values, truth = drawn(seed, 100, 200, 0.7)
        assert probed(values, truth).findings == probed(values, truth).notes == ()
        (finding,) = probed(values[[0, 1, 42, 3, *range(4, 42), 2, *range(43, 100)]], truth).findings
        assert finding == "ids seem exchanged: '1002 holds 1042', '1042 holds 1002'."
        half = np.concatenate([values[:50], np.random.default_rng(seed).permutation(values[50:])])
        assert "ids seem exchanged: " in probed(half, truth).findings[0]
    few, truth = drawn(0, 100, 12, 0.7)
    assert "an exchange of a few samples would go unseen" in probed(few, truth).notes[-1]


def test_a_sample_like_another_or_badly_recorded_is_in_its_place():
    """Presentations of the same images, some of them noise alone."""
    for seed in range(5):
        values, truth = drawn(seed, 60, 100, 0.8)
        rng = np.random.default_rng(seed)
        twice = np.concatenate([truth.values, truth.values + 0.3 * rng.normal(size=truth.values.shape)])
        twice[rng.choice(120, 12, replace=False)] = rng.normal(size=(12, 100))
        both = Predictions(np.arange(1000, 1120).astype(str), twice, truth.targets)
        assert probed(np.concatenate([values, values]), both).findings == ()


def test_too_few_samples_are_refused(truth):
    few = Predictions(IDS[:9], truth.values[:9], TARGETS)
    with pytest.raises(SubmissionError, match="expected 10 samples or more to shuffle; found 9"):
        probe(paired(few, few))


def test_the_command_exits_with_one_where_something_is_amiss(tmp_path, monkeypatch, truth, values):
    monkeypatch.chdir(tmp_path)
    truth.save("truth.npz")
    Predictions(IDS, values, TARGETS).save("good.npz")
    Predictions(IDS, np.roll(values, 1, axis=0), TARGETS).save("late.npz")
    good = CliRunner().invoke(main, ["probe", "good.npz", "truth.npz"])
    assert good.exit_code == 0
    assert "ids shuffled 1,000 times" in good.stdout
    assert "nothing seems misaligned" in good.stdout
    assert max(map(len, good.stdout.splitlines())) <= 80
    late = CliRunner().invoke(main, ["probe", "late.npz", "truth.npz", "--json"])
    assert late.exit_code == 1
    assert "late.npz seems misaligned with truth.npz:\n- by id the score is" in late.stderr
    assert "- the score is 0." in late.stderr
    assert len(json.loads(late.stdout)["findings"]) == 2
