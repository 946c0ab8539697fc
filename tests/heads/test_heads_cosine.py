"""Cosines to answers' vectors against scipy's, and what is no use as such."""

import math
import re

import jax
import numpy as np
import pytest
from flax import nnx
from readouts import built, evaluated, features_of, names, shapes_of
from scipy.spatial.distance import cdist

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.heads import AnswerGate, AnswerVectors, CosineAnswers, Linear, RandomVectors, Sum
from jaxlab.heads.answers import filled, tied
from jaxlab.nn.fixed import fixed_paths

SHAPES = {"fused": (7,)}
FEATURES = features_of(4, SHAPES)
VECTORS = RandomVectors(width=3)


def parts(**fields):
    """Outputs, and the embedding and the answers in float64."""
    head = built(CosineAnswers(answers=VECTORS, **fields), targets=6, shapes=SHAPES)
    if head.log_scale is not None:
        head.log_scale[...] = math.log(20.0)
    flat = {path: np.asarray(leaf, np.float64) for path, leaf in tree.flatten(nnx.state(head)).items()}
    x = np.asarray(FEATURES["fused"], np.float64) @ flat["layers.fused.kernel"] + flat["bias"]
    return np.asarray(evaluated(head, FEATURES)), x, flat["answers"]


@pytest.mark.parametrize("centred", [True, False])
def test_logits_are_scaled_cosines(centred):
    found, x, answers = parts(centred=centred)
    answers = answers - answers.mean(0) if centred else answers
    np.testing.assert_allclose(found, 20 * (1 - cdist(x, answers, "cosine")), rtol=1e-4, atol=1e-5)


def test_without_lengths_of_1_they_are_products():
    found, x, answers = parts(unit=False, centred=False, learned=False, scale=2.0)
    np.testing.assert_allclose(found, 2 * x @ answers.T, rtol=1e-4, atol=1e-5)


def test_the_scale_ends_at_its_most():
    head = built(CosineAnswers(answers=VECTORS, most=50.0), targets=6, shapes=SHAPES)
    head.log_scale[...] = 9.0
    assert float(head.scale) == pytest.approx(50)


class WordLengths(AnswerVectors):
    """A user's own: how long a word is, and a one."""

    size = 2

    def of(self, answers):
        return np.array([[len(word), 1.0] for word in answers])


@pytest.mark.parametrize("inside", [lambda head: head, lambda head: Sum(heads=(Linear(), head))])
def test_answers_are_filled_in_wherever_they_are_and_never_train(inside):
    head = inside(CosineAnswers(answers=WordLengths()))
    module = nnx.eval_shape(lambda: head.build(shapes_of(SHAPES), ("no", "three"), nnx.Rngs(0)))
    ((path, values),) = filled(module)
    np.testing.assert_array_equal(values, [[2, 1], [5, 1]])
    assert fixed_paths(nnx.state(module, nnx.Param)) == {path}


def test_answers_of_one_vector_are_named():
    """The lengths of words are what they have in common."""
    words = ("no", "three", "up", "seven", "at", "hello!")
    head = CosineAnswers(answers=WordLengths())
    module = nnx.eval_shape(lambda: head.build(shapes_of(SHAPES), words, nnx.Rngs(0)))
    (line,) = tied(module, dict(filled(module)))
    assert line.startswith("warning: WordLengths gives some answers the same vector")
    assert line.endswith("'no' = 'up' = 'at', 'three' = 'seven'")
    other = nnx.eval_shape(lambda: head.build(shapes_of(SHAPES), ("no", "three"), nnx.Rngs(0)))
    assert tied(other, dict(filled(other))) == []


class Bad(AnswerVectors):
    rows: int
    size = 2

    def of(self, answers):
        found = np.ones((self.rows, 2))
        found[0] = 0
        return found


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (3, "expected vectors of (2, 2), one a row for each answer, found (3, 2)"),
        (2, "1 of 2 answers have no vector, or one that is 0 or not finite ('no')"),
    ],
)
def test_vectors_that_are_none_are_refused(rows, words):
    head = CosineAnswers(answers=Bad())
    object.__setattr__(head.answers, "rows", rows)
    module = nnx.eval_shape(lambda: head.build(shapes_of(SHAPES), ("no", "three"), nnx.Rngs(0)))
    with pytest.raises(UserError, match=re.escape(words)):
        list(filled(module))


def test_a_scale_beyond_its_most_is_refused():
    with pytest.raises(
        UserError, match=r"CosineAnswers.scale: expected more than 0 and at most 100.0, found 200.0"
    ):
        CosineAnswers(scale=200.0)


@pytest.mark.parametrize("how", ["product", "log"])
def test_a_gate_lets_answers_through_by_their_type(how):
    shapes = {"objective/kind": (2,), **SHAPES}
    features = features_of(4, shapes)
    head = built(AnswerGate(head=Linear(layer="fused"), by="kind", how=how), targets=6, shapes=shapes)
    flat = {path: np.asarray(leaf, np.float64) for path, leaf in tree.flatten(nnx.state(head)).items()}
    logits = np.asarray(features["fused"]) @ flat["inner.layers.fused.kernel"] + flat["inner.bias"]
    gate = 1 / (
        1 + np.exp(-(np.asarray(features["objective/kind"]) @ flat["gate.kernel"] + flat["gate.bias"]))
    )
    expected = logits * gate if how == "product" else logits + np.log(gate)
    np.testing.assert_allclose(evaluated(head, features), expected, rtol=1e-4, atol=1e-5)


def test_a_gate_comes_after_what_it_reads():
    from jaxlab.heads import Joint

    heads = {"answer": AnswerGate(head=Linear(), by="kind"), "kind": Linear()}
    joint = Joint(heads, {"answer": 1.0, "kind": 1.0})
    targets = {"answer": names(3), "kind": ("yes/no", "number")}

    def outputs(features):
        module = joint.build(shapes_of(SHAPES), targets, nnx.Rngs(0))
        module.objectives["kind"].bias[...] = np.array([5.0, 7.0], np.float32)
        module.objectives["answer"].inner.bias[...] = np.array([1.0, 2.0, 3.0], np.float32)
        module.objectives["answer"].gate.kernel[...] = np.ones((2, 3), np.float32) / 12
        return module(features, EVALUATION)

    found = jax.jit(outputs)(FEATURES)
    gate = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(found, np.tile([gate, 2 * gate, 3 * gate, 5, 7], (4, 1)), rtol=1e-5)


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        (
            {"a": AnswerGate(head=Linear(), by="b"), "c": Linear()},
            "the name of another objective .* found 'b'",
        ),
        ({"a": AnswerGate(head=Linear(), by="a"), "c": Linear()}, "read one another in a circle: a <- a"),
    ],
)
def test_a_gate_without_its_types_is_refused(heads, words):
    from jaxlab.heads import Joint

    joint = Joint(heads, dict.fromkeys(heads, 1.0))
    with pytest.raises(UserError, match=words):
        nnx.eval_shape(lambda: joint.build(shapes_of(SHAPES), dict.fromkeys(heads, names(2)), nnx.Rngs(0)))
