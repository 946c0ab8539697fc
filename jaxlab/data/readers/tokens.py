"""Texts as token ids, by the tokenizer that belongs to a language model's weights."""

import hashlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxlab.core.config import Component, Location
from jaxlab.core.types import UserError

_AT_ONCE = 8192


@dataclass(frozen=True)
class Tokens:
    """Texts of equally many tokens.

    ids: (n, t) int32. mask: (n, t) bool, False where a text is padded. shortened: texts that were cut at the limit.
    """

    ids: np.ndarray
    mask: np.ndarray
    shortened: int

    def batches(self, size: int, multiple: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Positions (k,) of up to `size` texts of like length, longest first, and their ids and mask.

        These have `size` rows always, the last ones of padding alone where texts run out, and as many tokens as the
        longest of them has, rounded up to `multiple`: few shapes, so that little is compiled.
        """
        lengths = self.mask.sum(1)
        order = np.argsort(-lengths, kind="stable")
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            width = _rounded(lengths[rows[0]], multiple, self.ids.shape[1])
            blank = ((0, size - len(rows)), (0, 0))
            yield rows, np.pad(self.ids[rows, :width], blank), np.pad(self.mask[rows, :width], blank)


class Reads(Protocol):
    """A tokenizer that has been read."""

    @property
    def digest(self) -> str:
        """SHA-256 of its tokens, in the order of their numbers."""

    def __call__(self, texts: Sequence[str]) -> Tokens: ...


@dataclass(frozen=True, kw_only=True)
class TextTokenizer(Component):
    """Base of what makes tokens of texts."""

    def learned(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The words to keep of training texts; none of a tokenizer that belongs to a language model's weights."""
        return ()

    def open(self, words: tuple[str, ...] = ()) -> Reads:
        """The tokenizer, read. words: as `learned` gave them."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Tokenizer(TextTokenizer):
    """A tokenizer of transformers, which `pip install 'jaxlab[text]'` brings.

    source: a folder that holds it (tokenizer.json or vocab.txt), or a hub id `owner/name`.
    max_length: greatest number of tokens, the first and last special ones among them; longer texts are cut.
    multiple: texts are padded to a multiple of this number of tokens.
    """

    source: Location
    max_length: int = 256
    multiple: int = 32

    @property
    def extras(self) -> tuple[str, ...]:
        return ("text",)

    def check(self) -> None:
        if self.max_length < 3:
            raise UserError(
                f"Tokenizer.max_length: expected 3 or more, of which 2 are special tokens, found {self.max_length}"
            )
        if self.multiple < 1:
            raise UserError(f"Tokenizer.multiple: expected 1 or more, found {self.multiple}")

    def open(self, words: tuple[str, ...] = ()) -> "OpenTokenizer":
        """The tokenizer, read. Raises UserError where transformers or the tokenizer is missing."""
        return OpenTokenizer(self, _loaded(self.source))


class OpenTokenizer:
    """Called with texts, gives their Tokens; one thread at a time, since transformers keeps where it cuts."""

    def __init__(self, config: Tokenizer, tokenizer: Any):
        self.config = config
        self._tokenizer = tokenizer
        self._alone = threading.Lock()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its tokens, in the order of their numbers."""
        number = self._tokenizer.get_vocab()
        return hashlib.sha256("\n".join(sorted(number, key=lambda token: number[token])).encode()).hexdigest()

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Raises UserError for what is not a text."""
        wrong = [position for position, text in enumerate(texts) if not is_text(text)]
        if isinstance(texts, str) or wrong:
            found = "one text" if isinstance(texts, str) else f"{texts[wrong[0]]!r} at position {wrong[0]}"
            raise UserError(f"tokenizer {self.config.source}: expected a list of texts, found {found}")
        if not texts:
            return Tokens(np.zeros((0, 0), np.int32), np.zeros((0, 0), bool), 0)
        limit = self.config.max_length
        with self._alone:
            rows = [
                row for part in _parts(texts) for row in self._tokenizer(part, verbose=False)["input_ids"]
            ]
            long = [position for position, row in enumerate(rows) if len(row) > limit]
            for position in long:
                rows[position] = self._tokenizer(texts[position], truncation=True, max_length=limit)[
                    "input_ids"
                ]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(_rounded(lengths.max(), self.config.multiple, limit))[None] < lengths[:, None]
        ids = np.zeros(mask.shape, np.int32)  # padding could be any token
        ids[mask] = np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(lengths.sum()))
        return Tokens(ids, mask, len(long))


def is_text(found: object) -> bool:
    """Whether it is a text that UTF-8 can write, as half a character (a lone surrogate) is not."""
    try:
        return isinstance(found, str) and (found.isascii() or bool(found.encode()))
    except UnicodeEncodeError:
        return False


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Some thousands at a time, of whose tokens transformers keeps kilobytes each."""
    return (list(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE))


def _rounded(count: int, multiple: int, most: int) -> int:
    return min(-(-int(count) // multiple) * multiple, most)


def _loaded(source: str) -> Any:
    try:
        import transformers  # an extra, and seconds to import
    except ImportError as error:
        raise UserError(
            f"tokenizer {source}: tokenizers need transformers, which is not installed ({error}); "
            "pip install 'jaxlab[text]'"
        ) from error
    try:
        return _found(source, transformers.AutoTokenizer)
    except Exception as error:  # of transformers, the hub or the tokenizer's file, by what is wrong
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"tokenizer {source}: expected a folder with a tokenizer (tokenizer.json or vocab.txt, and "
            f"tokenizer_config.json), or a hub id that can be reached ({reason[0].rstrip(': ')})"
        ) from error


def _found(source: str, auto: Any) -> Any:
    """A folder's tokenizer, or a hub's from the cache, or downloaded."""
    import huggingface_hub  # costs half a second, and only tokenizers need it here

    folder = Path(source).expanduser()
    try:
        return auto.from_pretrained(str(folder), local_files_only=True)
    except Exception:
        if folder.exists():
            raise
    huggingface_hub.HfApi().model_info(source, timeout=10)  # offline, transformers itself tries for a minute
    return auto.from_pretrained(source)
