"""Texts as words, with a vocabulary that training texts make: no download, and nothing to install."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.readers.tokens import TextTokenizer, Tokens

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
UNKNOWN = 0  # the number of all words that are not kept


@dataclass(frozen=True, kw_only=True)
class Words(TextTokenizer):
    """Words of the training texts in lower case, numbered from the most frequent on; a run keeps them.

    Letters, digits and apostrophes between them make a word; all else only divides. A word that is not kept is the
    unknown one.
    least: how often a word has to occur in the training texts to be kept; what is rarer teaches the unknown one.
    most: how many words are kept.
    max_length: greatest number of words of a text; longer texts are cut.
    Raises UserError, of training texts, where no word is kept: all questions would be the same one.
    """

    least: int = 1
    most: int = 20_000
    max_length: int = 64

    def check(self) -> None:
        for name in ("least", "most", "max_length"):
            if getattr(self, name) < 1:
                raise UserError(f"Words.{name}: expected 1 or more, found {getattr(self, name)}")

    def learned(self, texts: Sequence[str]) -> tuple[str, ...]:
        counts = Counter(word for text in texts for word in words_of(text))
        kept = [word for word, count in counts.items() if count >= self.least]
        if not kept:
            raise UserError(
                f"Words.least: no word occurs {self.least} times or more in the {len(texts)} training texts "
                f"({len(counts)} different words, the most frequent {max(counts.values(), default=0)} times), so that "
                "all texts would be the same: expected less"
            )
        return tuple(sorted(kept, key=lambda word: (-counts[word], word))[: self.most])

    def open(self, words: tuple[str, ...] = ()) -> "OpenWords":
        return OpenWords(self.max_length, words)


class OpenWords:
    """Called with texts, gives their Tokens: 1 is the first of `words`, and so on."""

    def __init__(self, max_length: int, words: tuple[str, ...]):
        self._most = max_length
        self._words = words
        self._number = {word: number for number, word in enumerate(words, 1)}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the words, in the order of their numbers."""
        return hashlib.sha256("\n".join(self._words).encode()).hexdigest()

    def __call__(self, texts: Sequence[str]) -> Tokens:
        found = [[self._number.get(word, UNKNOWN) for word in words_of(text)] for text in texts]
        rows = [row[: self._most] for row in found]
        lengths = np.array([len(row) for row in rows], int)
        mask = np.arange(lengths.max(initial=0))[None] < lengths[:, None]
        ids = np.zeros(mask.shape, np.int32)
        ids[mask] = np.concatenate([np.array(row, np.int32) for row in rows]) if rows else []
        return Tokens(ids, mask, sum(len(row) > self._most for row in found))


def words_of(text: str) -> list[str]:
    """In lower case."""
    return _WORD.findall(text.lower())
