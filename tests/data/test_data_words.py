"""Vocabularies against scikit-learn's, tokens by hand, and texts that are none."""

import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from jaxlab.core.types import Samples, UserError
from jaxlab.data import Words
from jaxlab.data.texts import padded, texts_of, tokenised

TEXTS = [
    "What color is the shape?",
    "Is there a RED shape",
    "does the image not contain a circle?!",
    "is there a red shape?",
]


def test_words_are_those_of_scikit_learn():
    vectorizer = CountVectorizer(token_pattern=r"\b\w+\b")
    counts = np.asarray(vectorizer.fit_transform(TEXTS).sum(0)).ravel()
    expected = dict(zip(vectorizer.get_feature_names_out(), counts.tolist(), strict=True))
    found = Words().learned(TEXTS)
    assert set(found) == expected.keys()
    assert [expected[word] for word in found] == sorted(expected.values(), reverse=True)
    twice = Words(least=2).learned(TEXTS)
    assert set(twice) == {word for word, count in expected.items() if count >= 2}
    assert Words(most=3).learned(TEXTS) == found[:3]


def test_training_texts_of_which_no_word_is_kept_are_refused():
    with pytest.raises(
        UserError, match=r"Words.least: no word occurs 3 times or more .* most frequent 2 times"
    ):
        Words(least=3).learned(["is it", "is this"])


def test_one_long_text_takes_room_for_itself_alone():
    texts = np.array(["red"] * 500 + ["x" * 100_000], object)
    tracemalloc.start()
    tokens, _, _ = tokenised(texts, Words().open(("red",)))
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert tokens[np.array([0, 499, 500])].tolist() == [[1], [1], [0]]


def test_texts_become_numbers_of_words():
    reads = Words(max_length=4).open(("is", "the", "it's"))
    found = reads(["Is it's purple?", "the", "?!", "is is is is the"])
    expected = [[1, 3, 0, -1], [2, -1, -1, -1], [-1, -1, -1, -1], [1, 1, 1, 1]]
    np.testing.assert_array_equal(np.where(found.mask, found.ids, -1), expected)
    assert found.shortened == 1
    assert reads.digest != Words().open(("the", "is", "it's")).digest


def test_texts_that_are_the_same_are_held_once():
    reads = Words().open(("red", "blue"))
    tokens, cut, silent = tokenised(np.array(["red blue", "red", "red blue", "..."], object), reads)
    assert tokens.tokens.shape == (3, 2)
    np.testing.assert_array_equal(tokens[np.arange(4)], [[1, 2], [1, -1], [1, 2], [-1, -1]])
    np.testing.assert_array_equal(padded(tokens, 4)[[1]], [[1, -1, -1, -1]])
    assert (cut, silent.tolist()) == (0, [False, False, False, True])


def asked(column):
    return Samples(
        ids=np.array(["a", "b", "c"]),
        read=lambda k: np.zeros((2, 2)),
        checksum=lambda k: b"",
        columns={"q": column},
    )


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (np.array([1.5, 2, 3]), "F: expected a column of texts, found 'q' of float64"),
        (np.array([["x"], ["y"], ["z"]]), "F: expected a column of texts, found 'q' of <U1 (1,)"),
        (np.array(["x", None, "y"], object), "F: expected texts in column 'q', found None for b"),
        (np.array(["x", "\ud800", "y"]), r"F: expected texts in column 'q', found '\ud800' for b"),
        (np.array(["x", " ", ""]), "F: 2 texts in column 'q' of no words (b, c)"),
    ],
)
def test_what_is_no_text_is_named(column, words):
    with pytest.raises(UserError, match=re.escape(words)):
        texts_of(asked(column), np.arange(3), "q", "F")
    assert Counter(texts_of(asked(np.array(["x", "y", ""])), np.arange(2), "q", "F").tolist()) == Counter(
        "xy"
    )


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"F: the samples have no column 'question'; they have q$"):
        texts_of(asked(np.array(["x", "y", "z"])), np.arange(3), "question", "F")
