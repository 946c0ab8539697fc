"""Vectors of answers by what their words mean, made by a frozen language model."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxlab.core.types import UserError
from jaxlab.data.readers.tokens import Tokenizer
from jaxlab.data.source import examples
from jaxlab.encode.encoder import load_frozen
from jaxlab.encode.text import embed_texts
from jaxlab.heads import AnswerVectors
from jaxlab.models.bert import Bert

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class TextAnswers(AnswerVectors):
    """The model's "pool" of each answer's words, as of the questions' in `TextEncoder`.

    model: the network, whose `pretrained` names its weights. tokenizer: what makes tokens of an answer. seed: of the
    parameters, where the model has no `pretrained` ones.
    """

    model: Bert
    tokenizer: Tokenizer
    seed: int = 0

    @property
    def size(self) -> int:
        return self.model.width

    def of(self, answers: tuple[str, ...]) -> Float[np.ndarray, "t d"]:
        if empty := [number for number, answer in enumerate(answers) if not answer.strip()]:
            raise UserError(f"TextAnswers: {len(empty)} answers have no words (classes {examples(empty)})")
        frozen = load_frozen(self.model, self.model.build, self.seed)
        tokens = self.tokenizer.open()(list(answers))
        return embed_texts(self.model, frozen.variables[0], tokens, batch_size=_BATCH)
