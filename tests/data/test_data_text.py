"""Texts as tokens: batches of like length, a WordPiece tokenizer, and what is answered when one is missing."""

import hashlib
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.data.readers.tokens import OpenTokenizer, Tokenizer, Tokens

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "run", "##s", "cat"]


def tokens_of(lengths, width):
    lengths = np.array(lengths)
    ids = np.arange(len(lengths))[:, None] * 100 + np.arange(width)[None]
    mask = np.arange(width)[None] < lengths[:, None]
    return Tokens(np.where(mask, ids, 0).astype(np.int32), mask, 0)


def test_batches_hold_every_text_once_longest_first_in_few_shapes():
    tokens = tokens_of([3, 9, 1, 8, 2, 4, 9], width=10)
    found = list(tokens.batches(3, multiple=4))
    assert [list(rows) for rows, _, _ in found] == [[1, 6, 3], [5, 0, 4], [2]]
    assert [ids.shape for _, ids, _ in found] == [(3, 10), (3, 4), (3, 4)]  # 12 would be more than there are
    for rows, ids, mask in found:
        np.testing.assert_array_equal(mask[: len(rows)].sum(1), tokens.mask[rows].sum(1))
        np.testing.assert_array_equal(ids[: len(rows)], tokens.ids[rows, : ids.shape[1]])
        assert not mask[len(rows) :].any()


def test_no_texts_make_no_batches():
    assert list(Tokens(np.zeros((0, 0), np.int32), np.zeros((0, 0), bool), 0).batches(3, 4)) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_length": 2}, r"Tokenizer\.max_length: expected 3 or more.*found 2"),
        ({"multiple": 0}, r"Tokenizer\.multiple: .*found 0"),
    ],
)
def test_fields_that_make_no_sense_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Tokenizer(source="x", **fields)


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"tokenizer owner/name: .*pip install 'jaxlab\[text\]'"):
        Tokenizer(source="owner/name").open()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer")
    (path / "vocab.txt").write_text("\n".join(WORDS))
    (path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    return path


def opened(folder, **fields):
    pytest.importorskip("transformers", reason="the extra `text` is not installed")
    return Tokenizer(source=str(folder), **fields).open()


@pytest.mark.slow
def test_texts_become_ids_padded_to_a_multiple(folder):
    """WordPiece by hand: [CLS] a dog run ##s [SEP]; an unknown word; nothing."""
    tokens = opened(folder, multiple=4)(["A dog runs", "cat zebra", ""])
    assert tokens.ids.tolist() == [
        [2, 5, 6, 7, 8, 3, 0, 0],
        [2, 9, 1, 3, 0, 0, 0, 0],
        [2, 3, 0, 0, 0, 0, 0, 0],
    ]
    assert tokens.mask.sum(1).tolist() == [6, 4, 2]
    assert (tokens.ids.dtype, tokens.mask.dtype, tokens.shortened) == (np.int32, bool, 0)


@pytest.mark.slow
def test_long_texts_are_cut_before_their_last_token_and_counted(folder):
    tokens = opened(folder, max_length=4, multiple=3)(["a dog runs", "cat", "a cat", "a dog run dog"])
    assert tokens.ids.tolist() == [[2, 5, 6, 3], [2, 9, 3, 0], [2, 5, 9, 3], [2, 5, 6, 3]]
    assert tokens.shortened == 2


@pytest.mark.slow
def test_what_is_no_list_of_texts_is_refused(folder):
    tokenizer = opened(folder)
    with pytest.raises(UserError, match="expected a list of texts, found one text"):
        tokenizer("a dog")
    with pytest.raises(UserError, match=r"expected a list of texts, found nan at position 1"):
        tokenizer(["a", float("nan")])
    assert tokenizer([]).ids.shape == (0, 0)


class OneAtATime:
    """A tokenizer of one token a letter that breaks, as that of transformers may, where two threads call it at once."""

    def __init__(self):
        self.inside, self.asked = 0, 0

    def get_vocab(self):
        self.asked += 1
        return {"b": 1, "a": 0}

    def __call__(self, texts, **options):
        self.inside += 1
        time.sleep(0.001)
        if self.inside > 1:
            raise ValueError("two at once")
        self.inside -= 1
        return {"input_ids": [list(range(len(text))) for text in texts]}


def test_threads_take_turns_and_tokens_are_summed_once():
    made = OneAtATime()
    tokenizer = OpenTokenizer(Tokenizer(source="x"), made)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda count: int(tokenizer(["a" * count]).mask.sum()), range(1, 33)))
    assert found == list(range(1, 33))
    expected = hashlib.sha256(b"a\nb").hexdigest()
    assert [tokenizer.digest, tokenizer.digest] == [expected] * 2
    assert made.asked == 1


def test_half_a_character_is_no_text():
    tokenizer = OpenTokenizer(Tokenizer(source="x"), OneAtATime())
    with pytest.raises(
        UserError, match=re.escape(r"tokenizer x: expected a list of texts, found 'a\udc9f' at position 1")
    ):
        tokenizer(["a", "a\udc9f"])
    assert tokenizer(["a", "\U0001f600"]).mask.sum() == 2


@pytest.mark.slow
def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    pytest.importorskip("transformers", reason="the extra `text` is not installed")
    with pytest.raises(UserError, match=rf"tokenizer {tmp_path}: expected a folder with a tokenizer"):
        Tokenizer(source=str(tmp_path)).open()
