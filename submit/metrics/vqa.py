"""VQA accuracy (Antol et al. 2015, Goyal et al. 2017): an answer is as good as the people are many who gave it.

The rules are those of https://visualqa.org/evaluation.html.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from submit.errors import SubmissionError

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {"none": "0", **{word: str(number) for number, word in enumerate(_NUMBERS)}}
_ARTICLES = ("a", "an", "the")
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD = re.compile(r"\.(?!\d)")
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
# By ending, the words that lose no meaning without the apostrophe: not `its`, `ill`, `shell`, `wed` or `were`.
_STEMS = {
    "'t": "ain aren can couldn didn doesn don hadn hasn haven isn mightn mustn needn oughtn shan shouldn "
    "wasn weren won wouldn",
    "'ve": "could i might must should they we what where who would you couldn't hadn't mightn't shouldn't "
    "wouldn't he'd i'd it'd she'd somebody'd someone'd something'd there'd they'd we'd who'd you'd",
    "'s": "he how somebody someone that there what when where who why",
    "'d": "he how it someone something there they where who you",
    "'ll": "how it somebody someone something they what who why you",
    "'re": "there they what why you",
    "'m": "i",
}
_CONTRACTIONS = [stem + ending for ending, stems in _STEMS.items() for stem in stems.split()]
_CONTRACTIONS += ["ma'am", "o'clock", "y'all", "'twas"]
_WITH_APOSTROPHE = {
    word[: mark.start()] + word[mark.end() :]: word
    for word in _CONTRACTIONS
    for mark in re.finditer("'", word)
}


def normalise(answer: str) -> str:
    """`answer` in the form in which answers are compared.

    Lower case; without articles, and without periods but in decimals; number words as digits; contractions with
    their apostrophe (`dont` is `don't`); other punctuation than apostrophes and colons as a space. A mark leaves no
    space where it has one beside it anywhere in the answer, nor any mark in an answer with a number such as 100,978.
    """
    text = answer = _trimmed(answer)
    number = _COMMA_IN_NUMBER.search(text) is not None
    for mark in set(text).intersection(_MARKS):
        spaced = f"{mark} " in answer or f" {mark}" in answer
        text = text.replace(mark, "" if spaced or number else " ")
    words = [_DIGITS.get(word, word) for word in _PERIOD.sub("", text).lower().split()]
    return " ".join(_WITH_APOSTROPHE.get(word, word) for word in words if word not in _ARTICLES)


def _trimmed(answer: str) -> str:
    return answer.replace("\n", " ").replace("\t", " ").strip()


def vqa_accuracy(
    predicted: Sequence[str] | np.ndarray,
    answers: Sequence[Sequence[str]] | np.ndarray,
    unanimous: Literal["as written", "normalised"] = "as written",
) -> np.ndarray:
    """(n,) float64 in 0 to 1: min(others who gave the answer / 3, 1), averaged over the annotators left out in turn.

    predicted: (n,) answers. answers: (n, a) of a annotators, a = 10 in VQA v2. unanimous: how answers are compared
    where all annotators agree to the letter. The benchmark's code (github.com/GT-Vision-Lab/VQA since 2021), which
    makes the leaderboard, normalises neither side there, so that "2" is wrong where all wrote "two"; its description
    normalises always. Elsewhere both sides are normalised.
    """
    texts = np.asarray(answers, dtype=object)
    if texts.ndim != 2 or texts.shape[1] < 2 or len(texts) != len(predicted):
        raise SubmissionError(
            "expected (n,) predicted answers and (n, 2 or more) of annotators; "
            f"found {len(predicted)} and {texts.shape}."
        )
    every = {*predicted, *texts.ravel()}
    plain = {text: _trimmed(text) for text in every}
    known = {text: normalise(text) for text in every}
    annotators = texts.shape[1]
    same = np.empty(len(texts))
    for k, (ours, row) in enumerate(zip(predicted, texts, strict=True)):
        agree = unanimous == "as written" and len({plain[text] for text in row}) == 1
        form = plain if agree else known
        same[k] = sum(form[text] == form[ours] for text in row)
    by_one_of_them = np.minimum((same - 1) / 3, 1)  # the annotator left out gave this answer
    by_another = np.minimum(same / 3, 1)
    return (same * by_one_of_them + (annotators - same) * by_another) / annotators
