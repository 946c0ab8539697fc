"""The answer to a question as an objective: one of several classes, where several people have answered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlab.core import tree
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened
from jaxlab.metrics import AnswerSums, Sums
from jaxlab.metrics.answers import ANSWERS, LABEL, accuracy_of
from jaxlab.objectives.classification import Classification
from jaxlab.objectives.resolved import Labelled
from submit.late import Late

if TYPE_CHECKING:
    from submit import errors
    from submit.metrics import table, vqa
    from submit.scores.by_class import ByClass
else:
    errors, table, vqa = map(Late, ("submit.errors", "submit.metrics.table", "submit.metrics.vqa"))

COLUMN, TYPES = "answers", "answer_type"  # of samples
_KINDS = (TYPES, "question_type")


class Answers(Classification):
    """One of several classes that each of several people may have given: scored by VQA accuracy, too.

    Its truth is (n, 2 + a) int32, as `AnswerSums.add` takes it, of samples with a column `answers` (n, a) of texts.
    """

    def truth(self, samples: Samples) -> np.ndarray | None:
        """Of samples without a column `answers` their labels (n,) alone."""
        label = super().truth(samples)
        if label is None or not asked_of_several(samples):
            return label
        try:
            given = vqa.answers_as_classes(samples.columns[COLUMN], self.targets)
        except errors.SubmissionError as error:
            raise UserError(f"objective {self.name!r}: {error}") from None
        kind = np.full(len(label), -1, np.int32)
        if TYPES in samples.columns:
            for number, name in enumerate(self.answer_types or ()):
                kind[np.asarray(samples.columns[TYPES]) == name] = number
        return np.concatenate([label[:, None], kind[:, None], given], axis=1, dtype=np.int32)

    def sent(self, truth: Any) -> Any:
        """Raises UserError for labels alone: a run that is scored by several people's answers has to have them."""
        if truth.ndim == 1:
            raise UserError(
                f"objective {self.name!r}: expected a column {COLUMN!r} (n, a) of what several people answered, as the "
                "run was trained with, found none in the data"
            )
        return truth

    def scored(self, truth: Any) -> Any:
        return truth

    def single(self, truth: Any) -> Any:
        return truth[:, LABEL] if truth.ndim == 2 else truth

    def _counts(self, truth: np.ndarray) -> np.ndarray:
        return super()._counts(self.single(truth))

    def compared(self, truth: Array, constants: tree.Flat) -> Array:
        """Labels, or for a loss `of_answers` (b, t) the accuracy that each class would have as answer.

        What a teacher says is probabilities of classes, and stays.
        """
        if not jnp.issubdtype(truth.dtype, jnp.integer):
            return truth
        if not self.loss.of_answers:
            return truth[:, LABEL]
        given = truth[:, ANSWERS:]
        same = jax.nn.one_hot(given, len(self.targets)).sum(1)
        return accuracy_of(same, given.shape[1])

    def breakdown(self, labelled: Labelled, opened: Opened) -> "ByClass":
        """Of each class, and VQA accuracy by the types of answers and of questions that the data have."""
        found, truth = super().breakdown(labelled, opened), self.truth(opened.train)
        if truth is None or truth.ndim == 1:
            return found
        values, given = labelled.values, truth[labelled.rows, ANSWERS:]
        answer = np.where(np.isfinite(values).all(1), values.argmax(1), -2)
        accuracy = vqa.accuracy_of((given == answer[:, None]).sum(1), given.shape[1])
        columns = {name: opened.train.columns[name] for name in _KINDS if name in opened.train.columns}
        by_type = {name: _means(accuracy, column[labelled.rows]) for name, column in columns.items()}
        overall = {"vqa_accuracy": float(accuracy.mean()) if len(accuracy) else float("nan")}
        return replace(found, scores={**found.scores, **overall}, by_type=by_type)

    def start(self) -> Sums:
        return AnswerSums.start(len(self.targets), self.terms, self.answer_types or ())


def _means(values: np.ndarray, names: np.ndarray) -> dict[str, tuple[int, float]]:
    """{name: how many, and their mean}, the most frequent first."""
    found, place = np.unique(np.asarray(names).astype(str), return_inverse=True)
    counts = np.bincount(place)
    means = np.bincount(place, values) / counts
    order = np.argsort(-counts, kind="stable")
    return {str(found[k]): (int(counts[k]), float(means[k])) for k in order}


def asked_of_several(samples: Samples) -> bool:
    """Whether several people answered each question."""
    return COLUMN in samples.columns and np.shape(samples.columns[COLUMN])[1:] > (1,)


def types_of(samples: Samples) -> tuple[str, ...]:
    """The types of answers that are scored alone, of those that samples have."""
    found = set(np.unique(np.asarray(samples.columns.get(TYPES, ())).astype(str)).tolist())
    return tuple(kind for kind in table.ANSWER_TYPES if kind in found)


def answer_types_of(objectives: Mapping[str, Any], samples: Samples) -> dict[str, tuple[str, ...]]:
    """{objective: `types_of` the samples} of the objectives whose truth is the answers to questions."""
    if not asked_of_several(samples):
        return {}
    kinds = types_of(samples)
    return {
        name: kinds
        for name, one in objectives.items()
        if one.teacher is None and one.truth == Answers.usual_truth
    }
