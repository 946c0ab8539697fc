"""Texts that belong to samples: each distinct one once, checked and as tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.readers.tokens import Reads, is_text
from jaxlab.data.source import examples

IMAGE, TOKENS = "image", "tokens"  # what a network that reads texts sees, by name


@dataclass(frozen=True)
class TokenRows:
    """Tokens of samples, indexed as an array of one row a sample; texts that are the same are held once.

    tokens: (u, n) int32, -1 where a text is padded. rows: (n,) which of the u each sample has.
    """

    tokens: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.tokens[self.rows[index]]


@dataclass(frozen=True)
class Asked:
    """Images and the tokens that belong to them, row by row, indexed as an array of one a sample."""

    images: Any  # (n, h, w, c), or shared
    tokens: TokenRows

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: Any) -> dict[str, np.ndarray]:
        return {IMAGE: self.images[index], TOKENS: self.tokens[index]}


def texts_of(
    samples: Samples, rows: np.ndarray, column: str, field: str, *, blank: bool = False
) -> np.ndarray:
    """(n,) the texts of the samples at `rows`. field: that names the column, for messages. blank: allows empty ones.

    Raises UserError where there is no such column, or it has something else than texts, or empty ones.
    """
    if column not in samples.columns:
        raise UserError(
            f"{field}: the samples have no column {column!r}; they have {examples(samples.columns) or 'none'}"
        )
    found = np.asarray(samples.columns[column])[rows]
    if found.ndim != 1 or found.dtype.kind not in "UOT":
        of = f"{found.dtype} {found.shape[1:] or ''}".strip()
        raise UserError(f"{field}: expected a column of texts, found {column!r} of {of}")
    texts = found.tolist()
    if wrong := [row for row, text in enumerate(texts) if not is_text(text)]:
        raise UserError(
            f"{field}: expected texts in column {column!r}, found {texts[wrong[0]]!r} for "
            f"{_named(samples, rows, wrong)}"
        )
    if not blank and (empty := [row for row, text in enumerate(texts) if not text.strip()]):
        raise UserError(
            f"{field}: {counted(len(empty), 'text')} in column {column!r} of no words ({_named(samples, rows, empty)})"
            "; leave those samples out, or give them a word"
        )
    return found


def tokenised(texts: np.ndarray, reads: Reads) -> tuple[TokenRows, int, np.ndarray]:
    """Tokens of (n,) texts, how many distinct ones were cut, and (n,) whether a text has no token at all."""
    number = {text: row for row, text in enumerate(dict.fromkeys(texts.tolist()))}
    rows = np.array([number[text] for text in texts.tolist()], np.int64)
    found = reads(list(number))
    longest = int(found.mask.sum(1).max(initial=0))  # tokenizers may pad more
    tokens = np.where(found.mask, found.ids, -1).astype(np.int32)[:, :longest]
    return TokenRows(tokens, rows), found.shortened, ~np.asarray(found.mask.any(1))[rows]


def padded(tokens: TokenRows, length: int) -> TokenRows:
    """With as many places as `length`, or more where a text has more."""
    missing = max(length - tokens.tokens.shape[1], 0)
    return TokenRows(np.pad(tokens.tokens, ((0, 0), (0, missing)), constant_values=-1), tokens.rows)


def _named(samples: Samples, rows: np.ndarray, which: Sequence[int]) -> str:
    return examples(samples.ids[rows[which]].tolist())
