"""What stands below an image in a report."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxlab.report.results.shown import _caption


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
