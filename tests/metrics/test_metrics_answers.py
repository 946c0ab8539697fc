"""VQA accuracy summed on the device against that of the benchmark's rules on texts, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.core.types import Samples, UserError
from jaxlab.evaluate.scores import scores_of
from jaxlab.losses import CrossEntropy, SoftAnswers
from jaxlab.metrics import AnswerSums
from jaxlab.objectives import Objective, answer_types_of, resolved
from submit import Labels
from submit.metrics.vqa import answers_as_classes, vqa_accuracy

CLASSES = ("yes", "2", "red", "t shirt")
# What ten people said; the first is to the letter the same, and "two" is then not "2" for the benchmark's code.
SAID = [
    ["two"] * 10,
    ["two"] * 9 + ["2"],
    ["yes"] * 3 + ["Yes."] * 2 + ["no"] * 5,
    ["red"] * 2 + ["the red"] + ["blue"] * 7,
    ["t-shirt"] * 1 + ["shirt"] * 9,
    ["blue"] * 10,
]
TYPES = ["number", "number", "yes/no", "other", "other", "other"]
LABEL = np.array([1, 1, 0, 2, 3, -1], np.int32)


def samples(**columns) -> Samples:
    given = {"answers": np.array(SAID, object), "answer_type": np.array(TYPES), **columns}
    given = {name: values for name, values in given.items() if values is not None}
    ids = np.array([str(k) for k in range(len(SAID))])
    return Samples(ids, read=None, checksum=None, label=LABEL, columns=given)


def answers_of(loss=None):
    objectives = {"label": Objective(loss=loss or CrossEntropy())}
    kinds = answer_types_of(objectives, samples())
    return resolved(objectives, {"label": CLASSES}, answer_types=kinds)[0]


def test_each_annotators_class_by_hand():
    found = answers_as_classes(SAID, CLASSES)
    assert found.tolist() == [
        [-1] * 10, [1] * 10, [0] * 5 + [-1] * 5, [2] * 3 + [-1] * 7, [3] + [-1] * 9, [-1] * 10
    ]  # fmt: skip


@pytest.mark.parametrize("choice", [1, 3])
def test_sums_are_the_benchmarks_accuracy(choice):
    """As `submit vqa` scores the results that would be written, itself held to a hand calculation; in two batches."""
    one = answers_of()
    logits = np.zeros((len(SAID), len(CLASSES)), np.float32)
    logits[:, choice] = 1
    truth = one.truth(samples())
    assert one.answer_types == ("yes/no", "number", "other")
    sums = one.start()
    for rows, mask in (([0, 1, 2, 3], [True] * 4), ([4, 5, 5, 5], [True, True, False, False])):
        sums = sums.add(jnp.array(logits[rows]), jnp.array(truth[rows]), jnp.zeros(4), jnp.array(mask))
    found = sums.compute()
    expected = vqa_accuracy([CLASSES[choice]] * len(SAID), SAID)
    assert found["vqa_accuracy"] == pytest.approx(expected.mean(), rel=1e-6)
    for name, kind in (("yes_no", "yes/no"), ("number", "number"), ("other", "other")):
        by_type = expected[np.array(TYPES) == kind].mean()
        assert found[f"vqa_accuracy_{name}"] == pytest.approx(by_type, rel=1e-6)
    assert found["accuracy"] == pytest.approx((choice == LABEL).mean())
    on_the_host = scores_of(logits, one.scored(truth), answer_types=one.answer_types)
    assert on_the_host == pytest.approx({name: value for name, value in found.items() if name != "loss"})


def test_devices_that_share_a_batch_make_the_same_sums():
    one, rng = answers_of(), np.random.default_rng(2)
    logits = rng.normal(size=(8, len(CLASSES))).astype(np.float32)
    truth = one.truth(samples())[[0, 1, 2, 3, 4, 5, 5, 5]]
    mask = np.arange(8) < 6
    parts = [part.reshape(4, 2, *part.shape[1:]) for part in (logits, truth, np.zeros(8, np.float32), mask)]
    added = jax.pmap(lambda sums, *batch: sums.add(*batch, "devices"), "devices", in_axes=(None, 0, 0, 0, 0))
    shared = jax.tree.map(lambda leaf: leaf[0], added(one.start(), *parts)).compute()
    alone = scores_of(logits[:6], truth[:6], answer_types=one.answer_types)
    assert shared == pytest.approx({**alone, "loss": 0})


def test_what_is_not_finite_is_no_answer_and_a_type_without_questions_has_no_score(nans_allowed):
    sums = AnswerSums.start(2, types=("yes/no", "number"))
    truth = jnp.array([[0, 0, *[0] * 10], [0, -1, *[0] * 10]])
    logits = jnp.array([[1.0, jnp.nan], [1.0, 0.0]])
    found = sums.add(logits, truth, jnp.zeros(2)).compute()
    assert (found["vqa_accuracy"], found["vqa_accuracy_yes_no"]) == (0.5, 0)
    assert np.isnan(found["vqa_accuracy_number"])


def test_soft_answers_are_pytorchs_binary_cross_entropy_of_each_classs_accuracy():
    """By torch's formula (BCEWithLogitsLoss): max(x, 0) - x s + log(1 + exp(-|x|)), summed over classes."""
    one = answers_of(SoftAnswers())
    x = np.random.default_rng(0).normal(0, 2, (len(SAID), len(CLASSES))).astype(np.float32)
    soft = np.stack([vqa_accuracy([name] * len(SAID), SAID) for name in CLASSES], 1)
    expected = (np.maximum(x, 0) - x * soft + np.log1p(np.exp(-np.abs(x)))).sum(1)
    told = one.losses(jnp.array(x), jnp.array(one.truth(samples())), {}, total=None)
    np.testing.assert_allclose(told.loss, expected, rtol=1e-5)
    of_labels = answers_of().losses(jnp.array(x), jnp.array(one.truth(samples())), {}, total=None).loss
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    np.testing.assert_allclose(of_labels, np.where(LABEL < 0, 0, -log_p[np.arange(6), LABEL]), rtol=1e-5)


def test_results_written_and_scored_agree_with_what_validation_says():
    one, rng = answers_of(), np.random.default_rng(1)
    logits = rng.normal(size=(len(SAID), len(CLASSES))).astype(np.float32)
    found = scores_of(logits, one.truth(samples()), answer_types=one.answer_types)
    labels = Labels(samples().ids, np.array(CLASSES)[logits.argmax(1)])
    assert found["vqa_accuracy"] == pytest.approx(vqa_accuracy(labels.labels, SAID).mean(), rel=1e-6)


def test_data_without_several_answers_have_labels_alone_and_no_soft_loss():
    objectives = {"label": Objective(loss=SoftAnswers())}
    assert answer_types_of(objectives, samples(answers=None)) == {}
    assert answer_types_of(objectives, samples(answers=np.array(["a"] * 6))) == {}
    assert answer_types_of(objectives, samples(answer_type=None)) == {"label": ()}
    with pytest.raises(
        UserError, match=r"objective 'label': SoftAnswers\(\) learns what several people answered"
    ):
        resolved(objectives, {"label": CLASSES})
    alone = answers_of().truth(samples(answers=None))
    assert alone.tolist() == LABEL.tolist()
    with pytest.raises(UserError, match=r"objective 'label': expected a column 'answers' \(n, a\)"):
        answers_of().sent(alone)


def test_classes_that_are_one_answer_to_the_benchmark_are_refused():
    (one,) = resolved(
        {"label": Objective(loss=CrossEntropy())}, {"label": ("2", "Two")}, answer_types={"label": ()}
    )
    with pytest.raises(
        UserError, match=r"objective 'label': classes: expected each answer once, found 1 .*'?Two"
    ):
        one.truth(samples())
