"""What stands below an image in a report."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest

from jaxlab.report.results.evidence import Evidence, likeliest
from jaxlab.report.results.shown import _caption
from jaxlab.report.results.side_by_side import paired
from submit import Predictions
from submit.scores.by_class import by_class
from submit.scores.pairing import PairedClasses


@pytest.mark.parametrize(
    ("asks", "words"), [((), "7: no, p = 0.50"), (("question",), "7, Is it &lt;red&gt;?: no, p = 0.50")]
)
def test_a_question_stands_beside_its_image(asks, words):
    columns = {"question": np.array(["Where?", "Is it <red>?"], object)}
    run = SimpleNamespace(asks=asks, opened=SimpleNamespace(train=SimpleNamespace(columns=columns)))
    predictions = SimpleNamespace(ids=np.array(["7"]), targets=np.array(["no", "yes"]))
    evidence = SimpleNamespace(
        run=run, predictions=predictions, values=np.zeros((1, 2)), truth=np.array([0]), rows=np.array([1])
    )
    assert _caption(evidence, 0) == words


def test_a_sample_of_no_class_without_a_score_is_not_right():
    """Three of six, by Wilson's interval (scipy's); two are of no class, one of these with NaN for scores."""
    values = np.array([[2, 1], [2, 1], [1, 2], [1, 2], [1, 2], [np.nan, 2]])
    truth = np.array([0, 0, 1, 0, -1, -1])
    classes, ids = np.array(["cat", "dog"]), np.array(list("abcdef"))
    found = by_class(PairedClasses(ids, classes, likeliest(values), truth, values, np.arange(6)))
    predictions = Predictions(ids, values, classes, "logits")
    run = SimpleNamespace(kind="classification", targets=("cat", "dog"))
    evidence = Evidence(run, predictions, np.arange(6), truth, found, None)
    accuracy = evidence.intervals["accuracy"]
    wilson = binomtest(3, 6).proportion_ci(method="wilson")
    assert (accuracy.value, accuracy.low, accuracy.high) == pytest.approx((0.5, wilson.low, wilson.high))
    assert found.scores["accuracy"] == 0.5
    finite = replace(predictions, values=np.nan_to_num(values))
    assert paired(evidence, replace(evidence, predictions=finite))[0].value == 0
