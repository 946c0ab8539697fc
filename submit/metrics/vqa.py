"""VQA accuracy (Antol et al. 2015, Goyal et al. 2017): an answer is as good as the people are many who gave it.

The rules are those of https://visualqa.org/evaluation.html.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from submit.errors import SubmissionError, named
from submit.late import Late

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")

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
    theirs = _Forms.of([*texts.ravel(), *predicted], texts.shape, unanimous)
    return accuracy_of((theirs.answers == theirs.of_rest).sum(1), texts.shape[1])


def accuracy_of(same: np.ndarray, annotators: int) -> np.ndarray:
    """(n,) VQA accuracy of answers that `same` (n,) of so many annotators gave."""
    by_one_of_them = np.minimum((same - 1) / 3, 1)  # the annotator left out gave this answer
    by_another = np.minimum(same / 3, 1)
    return (same * by_one_of_them + (annotators - same) * by_another) / annotators


def answers_as_classes(answers: Sequence[Sequence[str]] | np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(n, a) int32: the class that each annotator's answer is to the benchmark's code, -1 for none of them.

    So the accuracy of class c as answer to question k is `accuracy_of((numbers[k] == c).sum(), a)`.
    answers: (n, a). Raises SubmissionError for classes that are one answer to the benchmark, as "Two" and "2" are.
    """
    texts = np.asarray(answers, dtype=object)
    known = _Forms.of([*texts.ravel(), *classes], texts.shape, "as written")
    found = np.full(texts.shape, -1, np.int32)
    for agree, forms in ((False, known.normal), (True, known.plain)):
        of_class = forms[texts.size :]
        if len(twice := _repeated(of_class)):
            raise SubmissionError(
                f"classes: expected each answer once, found {len(twice):,} that are to the benchmark what another is: "
                f"{named([classes[k] for k in twice], len(twice))}. Classes are to be as submit.metrics.vqa.normalise "
                "has them."
            )
        number = np.full(forms.max(initial=0) + 1, -1, np.int32)
        number[of_class] = np.arange(len(classes), dtype=np.int32)
        rows = known.agree == agree
        found[rows] = number[forms[: texts.size].reshape(texts.shape)[rows]]
    return found


def _repeated(numbers: np.ndarray) -> np.ndarray:
    """Positions of those that occurred before."""
    return np.setdiff1d(np.arange(len(numbers)), np.unique(numbers, return_index=True)[1])


@dataclass(frozen=True)
class _Forms:
    """Texts as numbers, equal where they are compared as equal: (n, a) answers one after the other, then others.

    plain, normal: (n * a + others,) by the two forms. agree: (n,) whether answers are compared in the plain one.
    """

    plain: np.ndarray
    normal: np.ndarray
    agree: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, texts: list[str], shape: tuple[int, int], unanimous: str) -> Self:
        """Each different text is looked at once: of VQA v2's six million answers, some hundred thousand."""
        every = np.empty(len(texts), dtype=object)
        every[:] = texts
        place, known = pd.factorize(every, use_na_sentinel=False)
        plain, normal = (
            pd.factorize(np.array([form(text) for text in known], dtype=object))[0][place]
            for form in (_trimmed, normalise)
        )
        of_answers = plain[: shape[0] * shape[1]].reshape(shape)
        agree = (of_answers == of_answers[:, :1]).all(1) & (unanimous == "as written")
        return cls(plain, normal, agree, shape)

    @property
    def answers(self) -> np.ndarray:
        """(n, a), of each row in the form in which it is compared."""
        count = self.shape[0] * self.shape[1]
        return np.where(
            self.agree[:, None], *(part[:count].reshape(self.shape) for part in (self.plain, self.normal))
        )

    @property
    def of_rest(self) -> np.ndarray:
        """(n, 1) the others, one a row, in the same forms."""
        count = self.shape[0] * self.shape[1]
        return np.where(self.agree, self.plain[count:], self.normal[count:])[:, None]
