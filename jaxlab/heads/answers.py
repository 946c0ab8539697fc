"""What answers mean: a vector for each, by their words, for heads that compare with them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from flax import nnx
from jaxtyping import Float

from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.data.source import examples


@dataclass(frozen=True, kw_only=True)
class AnswerVectors(Component):
    """Base of what makes vectors of answers; a run keeps these, so that predicting needs nothing of it."""

    @property
    def size(self) -> int:
        """Values of a vector."""
        raise NotImplementedError

    def of(self, answers: tuple[str, ...]) -> Float[np.ndarray, "t d"]:
        """One a row. Raises UserError where there is none for some of them."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class RandomVectors(AnswerVectors):
    """Vectors that say nothing of what answers mean, each another direction: what others are compared with.

    width: values of a vector. seed: of the random numbers, which the answers' order decides besides.
    """

    width: int = 256
    seed: int = 0

    def check(self) -> None:
        if self.width < 1:
            raise UserError(f"RandomVectors.width: expected 1 or more, found {self.width}")

    @property
    def size(self) -> int:
        return self.width

    def of(self, answers: tuple[str, ...]) -> Float[np.ndarray, "t d"]:
        rows = np.random.default_rng(self.seed).normal(size=(len(answers), self.width))
        return rows.astype(np.float32)


def filled(network: nnx.Module) -> Iterator[tuple[str, np.ndarray]]:
    """(path, values) of the parameters that are made of answers, anywhere within; nothing of it need hold values.

    Raises UserError for vectors that are not finite, or of another size than said.
    """
    for path, module in nnx.iter_graph(network):
        if isinstance(module, AnswersModule):
            yield ".".join(map(str, (*path, "answers"))), module.vectors()


def tied(network: nnx.Module, values: Mapping[str, np.ndarray]) -> list[str]:
    """A line for each head of which several answers have one vector. values: as `filled` gives them."""
    modules = {".".join(map(str, (*path, "answers"))): module for path, module in nnx.iter_graph(network)}
    lines = []
    for path, rows in values.items():
        _, group = np.unique(rows, axis=0, return_inverse=True)
        order = np.argsort(group, kind="stable")
        parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        if same := sorted([part.tolist() for part in parts if len(part) > 1]):
            words = [" = ".join(repr(modules[path].words[row]) for row in part) for part in same]
            lines.append(
                f"warning: {type(modules[path].config).__name__} gives some answers the same vector, so that the first "
                f"of them is always the one predicted: {examples(words)}"
            )
    return lines


class AnswersModule(nnx.Module):
    """Base of the heads with a parameter `answers` (t, d), which `filled` fills."""

    config: AnswerVectors
    words: tuple[str, ...]

    def vectors(self) -> Float[np.ndarray, "t d"]:
        """Those of its answers."""
        found = np.asarray(self.config.of(self.words), np.float32)
        name, expected = type(self.config).__name__, (len(self.words), self.config.size)
        if found.shape != expected:
            raise UserError(
                f"{name}: expected vectors of {expected}, one a row for each answer, found {found.shape}"
            )
        if bad := [
            word
            for word, row in zip(self.words, found, strict=True)
            if not np.isfinite(row).all() or not row.any()
        ]:
            raise UserError(
                f"{name}: {len(bad)} of {len(self.words)} answers have no vector, or one that is 0 or not finite "
                f"({', '.join(map(repr, bad[:5]))}{' and more' * (len(bad) > 5)})"
            )
        return found
