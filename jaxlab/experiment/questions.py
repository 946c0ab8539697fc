"""What a network sees that reads a text beside each image: images decoded once, and tokens made once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from rich.console import Console

from jaxlab.core import tree
from jaxlab.core.config import components
from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.readers.tokens import Reads, TextTokenizer
from jaxlab.data.source import Opened, examples
from jaxlab.data.texts import IMAGE, TOKENS, Asked, TokenRows, padded, texts_of, tokenised
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.inputs import ImageInput, Portion, say
from jaxlab.experiment.network import NetworkShapes, builder, shapes_of
from jaxlab.heads.base import Readout
from jaxlab.models.fusion import MASK
from jaxlab.models.order import layers_of
from jaxlab.objectives import Objective
from jaxlab.training.sharding import Layout
from jaxlab.training.step import Prepare

_FIELD = "model.column"
_MULTIPLE = 8  # numbers of tokens are rounded up to it: few shapes, so that little is compiled


@dataclass(frozen=True)
class _Prepared:
    """Images prepared as ever; tokens stay as they are."""

    images: Prepare

    def __call__(self, seen: Mapping[str, Array], keys: Array | None) -> dict[str, Any]:
        return {**seen, IMAGE: self.images(seen[IMAGE], keys)}


def language_of(model: Any, opened: Opened, positions: Sequence[np.ndarray]) -> dict[str, Any]:
    """What a run keeps of its texts: {"tokenizer": digest, "words": those learned, "length": places of the longest}.

    positions: of the training and validation samples; words are those of the former.
    Raises UserError for samples without texts, and for tokens that the text's network has not.
    """
    learn, every = positions[0], np.unique(np.concatenate(positions))
    words = model.tokenizer.learned(texts_of(opened.train, learn, model.column, _FIELD).tolist())
    reads = _opened(model.tokenizer, words)
    tokens = _tokenised(
        model.tokenizer, words, tuple(texts_of(opened.train, every, model.column, _FIELD).tolist())
    )[0]
    vocabulary = len(words) + 1 if words else model.text.vocabulary
    if tokens.tokens.max(initial=0) >= vocabulary:
        raise UserError(
            f"model.text.vocabulary: expected more than the greatest token id, {tokens.tokens.max()}, found "
            f"{vocabulary}; the tokenizer is another model's"
        )
    length = _places(model, tokens.tokens.shape[1])
    return {"tokenizer": reads.digest, "words": list(words), "length": length}


@lru_cache(maxsize=4)
def _opened(tokenizer: TextTokenizer, words: tuple[str, ...]) -> Reads:
    return tokenizer.open(words)


@lru_cache(maxsize=1)  # asked for twice as training begins: how long texts are, and what they are
def _tokenised(
    tokenizer: TextTokenizer, words: tuple[str, ...], texts: tuple[str, ...]
) -> tuple[TokenRows, int, np.ndarray]:
    return tokenised(np.array(texts, object), _opened(tokenizer, words))


def _places(model: Any, longest: int) -> int:
    """For texts of up to so many tokens: rounded up, as far as the text's network has positions.

    Raises UserError where it has fewer than the longest text.
    """
    rounded = -(-longest // _MULTIPLE) * _MULTIPLE
    most = getattr(model.text, "positions", rounded)
    if longest > most:
        raise UserError(
            f"model.text.positions: expected {longest} or more, the tokens of the longest text, found {most}; or let "
            f"model.tokenizer.max_length cut texts at {most}"
        )
    return min(rounded, most)


def check_layers(experiment: Experiment, shapes: NetworkShapes, seen: tree.Shape) -> None:
    """Raises UserError for a readout of the last layer where that only says which tokens are no padding.

    shapes: the network's. seen: of what it sees.
    """
    last = [part for part in _readouts(experiment.goals) if part.layer is None]
    if not last or not experiment.model.asks or getattr(experiment.model, "fusion", None) is not None:
        return
    layers = layers_of(shapes, seen)
    if layers[-1].endswith(f"/{MASK}"):
        raise UserError(
            f"{type(last[0]).__name__}.layer: expected names of layers of image and text, since the last one, "
            f"{layers[-1]!r}, only says which tokens are no padding, found None; the model has {', '.join(layers)}"
        )


def _readouts(goals: Mapping[str, Objective]) -> list[Readout]:
    return [part for one in goals.values() for part in components(one.head) if isinstance(part, Readout)]


@dataclass(frozen=True)
class QuestionInput(ImageInput):
    """Images and tokens. A batch's "image" is {"image": (b, h, w, c), "tokens": (b, n) int32, -1 of padding}."""

    @cached_property
    def prepare(self) -> Any:
        return _Prepared(ImageInput(self.experiment, self.task).prepare)

    @cached_property
    def shape(self) -> tree.Shape:
        images = ImageInput(self.experiment, self.task)
        return {IMAGE: images.shape, TOKENS: jax.ShapeDtypeStruct((self.task.language["length"],), "int32")}

    @property
    def example(self) -> Any:
        length = self.task.language["length"]
        return {IMAGE: super().example, TOKENS: jax.ShapeDtypeStruct((1, length), "int32")}

    @cached_property
    def by_place(self) -> bool:
        """Whether parameters of the network belong to places of tokens, so that it takes no text of more."""
        return len({_sizes(self, self.task.language["length"] - less) for less in (0, 1)}) > 1

    @property
    def _reads_tokens(self) -> bool:
        """Whether a readout names a layer of texts that may be one of tokens."""
        layers = [part.layer or () for part in _readouts(self.experiment.goals)]
        names = [name for layer in layers for name in ((layer,) if isinstance(layer, str) else layer)]
        return any(name.startswith("text/") and not name.endswith("/pool") for name in names)

    def check_tokenizer(self) -> None:
        """Raises UserError where it is another one than the run was trained with."""
        language = self.task.language
        if _opened(self._model.tokenizer, tuple(language["words"])).digest != language["tokenizer"]:
            raise UserError(
                "model.tokenizer: its tokens are others than those that the run was trained with; give that of then "
                "(--set model.tokenizer.source=FOLDER)"
            )

    @property
    def _model(self) -> Any:
        return self.experiment.model

    def notes(self, weights: Mapping[str, Any] | None) -> list[str]:
        weights = weights or {}
        language, text = self.task.language, weights.get("text")
        kept = f"{counted(len(language['words']), 'word')}, " if language["words"] else ""
        told = [f"texts of the column {self._model.column!r}: {kept}up to {language['length']} tokens"]
        if self._reads_tokens and self.by_place:
            told.append(
                "warning: a readout takes each token by its place, so that texts of more than "
                f"{language['length']} will be refused; one of text/pool, or of a Fusion, takes texts of any length"
            )
        if text:
            lines = text.get("notes") or ("of texts",)
            told += [f"weights {text['source']}: {line}" for line in lines]
        return [*(super().notes(weights) if weights.get("source") else []), *told]

    def portions(
        self, opened: Opened, positions: Sequence[np.ndarray], layout: Layout, console: Console | None = None
    ) -> list[Portion]:
        every = np.unique(np.concatenate(positions))
        tokens = self._tokens(opened.train, every)
        found = super().portions(opened, positions, layout, console)
        return [
            replace(
                one, rows=Asked(one.rows, replace(tokens, rows=tokens.rows[np.searchsorted(every, chosen)]))
            )
            for one, chosen in zip(found, positions, strict=True)
        ]

    def unlabelled(self, samples: Samples, rows: np.ndarray, layout: Layout) -> Portion:
        tokens = self._tokens(samples, rows)
        found = super().unlabelled(samples, rows, layout)
        return replace(found, rows=Asked(found.rows, tokens))

    def _tokens(self, samples: Samples, rows: np.ndarray) -> TokenRows:
        """Of the samples at `rows`; says which texts are cut, or hold no word that is known."""
        texts = texts_of(samples, rows, self._model.column, _FIELD)
        words = tuple(self.task.language["words"])
        self.check_tokenizer()
        tokens, cut, silent = _tokenised(self._model.tokenizer, words, tuple(texts.tolist()))
        if silent.any():
            raise UserError(
                f"{_FIELD}: {counted(int(silent.sum()), 'text')} of no words "
                f"({examples(map(repr, np.unique(texts[silent]).tolist()))}); leave those samples out, or give them a "
                "word"
            )
        if cut:
            most = getattr(self._model.tokenizer, "max_length", None)  # one of the user's own may have none
            where = (
                "by model.tokenizer" if most is None else f"after {most} tokens (model.tokenizer.max_length)"
            )
            say(f"warning: {counted(cut, 'different text')} cut {where}")
        if self.task.language["words"]:
            self._warn_unknown(tokens, texts)
        longest, known = tokens.tokens.shape[1], self.task.language["length"]
        if longest > known and self.by_place:
            raise UserError(
                f"{_FIELD}: expected texts of up to {known} tokens, found {longest}: a readout of this network takes "
                "each token by its place among those of the training texts; one of text/pool, or of a Fusion, takes "
                "texts of any length"
            )
        return padded(tokens, max(_places(self._model, longest), known))

    def _warn_unknown(self, tokens: TokenRows, texts: np.ndarray) -> None:
        unknown = np.asarray((tokens.tokens <= 0).all(1))[tokens.rows]
        if unknown.any():
            say(
                f"warning: {counted(int(unknown.sum()), 'text')} of words alone that training did not know "
                f"({examples(map(repr, np.unique(texts[unknown]).tolist()))}): what is predicted goes by the image"
            )


def _sizes(seen: QuestionInput, length: int) -> tuple[tuple[int, ...], ...]:
    """Shapes of the network's parameters for texts of so many tokens."""
    task = replace(seen.task, language={**seen.task.language, "length": length})
    _, params, _ = shapes_of(builder(seen.experiment, task, replace(seen, task=task)))
    return tuple(leaf.shape for _, leaf in sorted(tree.flatten(params).items()))
