"""Data that a run was not trained on: targets and classes by name, and scores of all their samples.

The kind: columns or classes that stand in another order, which by place would be scored as something else. Expected
values are the arrays before they were permuted, and scipy's correlation.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr

import jaxlab
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.objectives import KINDS
from jaxlab.runs.new_data import matched

RUN = Path("runs/a")
NUMBERS = KINDS["regression"]("activity", "activity", Linear(), Mse(), ("n0", "n1", "n2"))
CLASSES = KINDS["classification"]("object", "label", Linear(), CrossEntropy(), ("cat", "dog", "owl"))
TARGET = np.arange(12, dtype=np.float32).reshape(4, 3)
CEILING = np.array([0.1, 0.2, 0.3])
AREA = {"V4": np.array([True, False, False])}
LABEL = np.array([0, 1, 2, -1], np.int32)  # cat, dog, owl, none


def opened(targets=(), target=None, label=None, classes=(), **more) -> Opened:
    samples = Samples(np.array(list("abcd")), lambda k: np.zeros((2, 2, 1)), lambda k: b"", target, label)
    kind = "regression" if target is not None else "classification"
    return Opened(samples, None, kind, tuple(targets), classes=tuple(classes), **more)


def test_targets_in_another_order_with_others_between_them():
    there = ["n2", "other", "n0", "n1"]
    taken = np.array([2, 0, 0, 1])
    target = np.where(np.array(there) == "other", -1, TARGET[:, taken]).astype(np.float32)
    areas = {"V4": np.array([False, True, True, False])}
    found = matched(opened(there, target, ceiling=CEILING[taken], rois=areas), [NUMBERS], RUN)
    np.testing.assert_array_equal(found.train.target, TARGET)
    np.testing.assert_array_equal(found.ceiling, CEILING)
    assert found.targets == ("n0", "n1", "n2")
    assert found.rois["V4"].tolist() == AREA["V4"].tolist()
    same = opened(NUMBERS.targets, TARGET)
    assert matched(same, [NUMBERS], RUN) is same


@pytest.mark.parametrize("beside", [False, True])
def test_classes_in_another_order_and_fewer_of_them(beside):
    """Alone, or beside numbers as a second objective; -1 stays what it is."""
    there, label = ("dog", "unused", "cat"), np.array([2, 0, 0, -1], np.int32)
    if beside:
        found = matched(opened(NUMBERS.targets, TARGET, label, there), [NUMBERS, CLASSES], RUN)
    else:
        found = matched(opened(there, label=label), [CLASSES], RUN)
    assert found.train.label.tolist() == [0, 1, 1, -1]
    assert found.class_names == ("cat", "dog", "owl")
    assert found.targets == (NUMBERS.targets if beside else CLASSES.targets)


@pytest.mark.parametrize(
    ("given", "objective", "words"),
    [
        (opened(["n0", "n1", "m2"], TARGET), NUMBERS, r"predicts 3 targets, .* lack 1 \(n2\); they have n0, n1, m2"),
        (opened(["cat"], label=LABEL * 0), NUMBERS, r"predicts numbers \(n0, n1, n2\), and the data have none"),
        (opened(["n0"], TARGET[:, :1]), CLASSES, r"predicts classes \(cat, dog, owl\), and the data have none"),
        (opened(["cat", "dog", "Owl"], label=LABEL), CLASSES, r"knows 3 classes .* samples of 1 others \(Owl\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(given, objective, words):
    with pytest.raises(UserError, match=f"runs/a {words}"):
        matched(given, [objective], RUN)


@pytest.mark.slow
def test_folds_score_all_samples_of_other_data(folded, arrays_npz, tmp_path, capsys):
    """By the mean of the folds, each sample being new to them as far as they know."""
    arrays = dict(np.load(arrays_npz))
    np.savez(tmp_path / "fewer.npz", images=arrays["images"][:20], targets=arrays["targets"][:20])
    run = jaxlab.load(folded, [f"data.root={tmp_path / 'fewer.npz'}"])
    found = run.evaluation()
    assert f"warning: {folded} was trained on other data" in capsys.readouterr().err
    pairs = zip(run.predict(arrays["images"][:20]).T, arrays["targets"][:20].T, strict=True)
    expected = np.mean([pearsonr(*pair).statistic for pair in pairs])
    assert found["all"]["all"]["pearson"] == pytest.approx(expected, abs=1e-5)
    ((labelled, _),) = run.breakdowns()
    assert labelled.split == "all"
    assert len(labelled.rows) == 20
