"""Simulated questions about pictures, whose answers follow from what these show; and what ten people answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jaxlab.data.simulation.answers import (
    COLOURS,
    FIRST_COLOUR,
    FIRST_NUMBER,
    FIRST_PLACE,
    FIRST_THING,
    NO,
    NOUNS,
    PLACES,
    SHAPES,
    THINGS,
    YES,
    noun_of,
    shares,
)
from jaxlab.data.simulation.question_scenes import Contents

ANNOTATORS = 10
_BEFORE = ("", "In this picture, ", "Tell me: ", "Look closely: ", "At first sight, ")
_NEAR = ("", " near the {}", " next to the {}", " beside the {}", " behind the {}", " by the {}")
_WRITTEN_OTHERWISE = 0.06  # share of answers


class Asked(NamedTuple):
    """A kind of question about some pictures: (n,) texts with {} for where, and the numbers of right answers."""

    texts: list[str]
    answer: np.ndarray


@dataclass(frozen=True)
class Kind:
    """question_type, answer_type: as the benchmark has them. share: of all questions.

    agree: how likely a person gives the right answer.
    """

    question_type: str
    answer_type: str
    share: float
    agree: float
    ask: Callable[[Contents, np.ndarray, np.random.Generator], Asked]


@dataclass(frozen=True)
class Questions:
    """image: (n,) the row of each question's picture. kind: (n,) its number in KINDS. answer: (n,) that is right.

    given: (n, 10) what people answered. otherwise: (n, 10) how it is written: 0 plainly, 1 or 2 otherwise.
    """

    image: np.ndarray
    kind: np.ndarray
    texts: list[str]
    answer: np.ndarray
    given: np.ndarray
    otherwise: np.ndarray

    @property
    def commonest(self) -> np.ndarray:
        """(n,) the answer that most people gave; of equally many the lowest number."""
        ordered = np.sort(self.given, axis=1)
        counts = (ordered[:, :, None] == ordered[:, None, :]).sum(2)
        return ordered[np.arange(len(ordered)), counts.argmax(1)]


def ask(contents: Contents, count: int, rng: np.random.Generator) -> Questions:
    """`count` questions, as equally many a picture as can be."""
    pictures = len(contents)
    image = np.sort(np.concatenate([
        np.tile(np.arange(pictures), count // pictures), rng.permutation(pictures)[: count % pictures]
    ]))  # fmt: skip
    kind = rng.choice(len(KINDS), count, p=[one.share for one in KINDS])
    kind[(contents.count[image] == 0) & np.isin(kind, _OF_SHAPES)] = _FALLBACK
    texts, answer = np.empty(count, dtype=object), np.empty(count, np.int64)
    for number, one in enumerate(KINDS):
        rows = np.flatnonzero(kind == number)
        asked = one.ask(contents, image[rows], rng)
        texts[rows], answer[rows] = asked.texts, asked.answer
    before, near = (rng.integers(0, len(words), count) for words in (_BEFORE, _NEAR))
    noun = noun_of(contents.thing[image])
    said = [
        _sentence(_BEFORE[b] + text.format(_NEAR[n].format(NOUNS[k])))
        for text, b, n, k in zip(texts.tolist(), before.tolist(), near.tolist(), noun.tolist(), strict=True)
    ]
    given, otherwise = _people(answer, kind, rng)
    return Questions(image, kind, said, answer, given, otherwise)


def _sentence(text: str) -> str:
    """`In this picture, Is it?` with one capital."""
    first, mark, rest = text.partition(": " if ": " in text else ", ")
    return f"{first}{mark}{rest[:1].lower()}{rest[1:]}" if rest else text


def _people(answer: np.ndarray, kind: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What ten people answer: right as likely as the kind says, by question more or less; else a mistake, or any."""
    agree = np.array([one.agree for one in KINDS])[kind]
    likely = rng.beta(8 * agree, 8 * (1 - agree))[:, None]
    shape = (len(answer), ANNOTATORS)
    right, mistaken = rng.random(shape) < likely, rng.random(shape) < 0.7
    anything = FIRST_THING + rng.choice(THINGS, shape, p=shares(THINGS, 10.0))
    wrong = np.where(mistaken, _mistake(answer, rng)[:, None], anything)
    otherwise = np.where(rng.random(shape) < _WRITTEN_OTHERWISE, rng.integers(1, 3, shape), 0)
    return np.where(right, answer[:, None], wrong), otherwise


def _mistake(answer: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n,) what an answer is mistaken for: of a thing its noun alone, or another noun; of others one beside it."""
    thing = answer - FIRST_THING
    noun = np.where(thing >= len(NOUNS), noun_of(thing), rng.integers(0, len(NOUNS), len(answer)))
    step = np.where(rng.random(len(answer)) < 0.5, 1, -1)

    def beside(first: int, count: int) -> np.ndarray:
        return first + (answer - first + step) % count

    return np.select(
        [answer <= NO, answer < FIRST_COLOUR, answer < FIRST_PLACE, answer < FIRST_THING],
        [NO - answer, np.maximum(answer + step, FIRST_NUMBER), beside(FIRST_COLOUR, len(COLOURS)),
         beside(FIRST_PLACE, len(PLACES))],
        FIRST_THING + noun,
    )  # fmt: skip


# -- the kinds of questions


def _one_of(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(n,) shape and colour of one that each picture shows; of none, of one that it does not."""
    k = (rng.random(len(image)) * np.maximum(contents.count[image], 1)).astype(int)
    return contents.shape[image, k], contents.colour[image, k]


def _is_there(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
    shape, colour = _one_of(contents, image, rng)
    absent = rng.random(len(image)) < 0.55
    colour = np.where(absent, rng.integers(0, len(COLOURS), len(image)), colour)
    there = (contents.shape[image] == shape[:, None]) & (contents.colour[image] == colour[:, None])
    answer = np.where((there & contents.shown[image]).any(1), YES, NO)
    each = zip(colour.tolist(), shape.tolist(), strict=True)
    return Asked([f"Is there a {COLOURS[c]} {SHAPES[s]}{{}}?" for c, s in each], answer)


def _are_there(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
    shape = rng.integers(0, len(SHAPES), len(image))
    there = ((contents.shape[image] == shape[:, None]) & contents.shown[image]).any(1)
    return Asked([f"Are there any {_several(s)}{{}}?" for s in shape.tolist()], np.where(there, YES, NO))


def _is_this(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
    place = np.where(
        rng.random(len(image)) < 0.5, contents.place[image], rng.integers(0, len(PLACES), len(image))
    )
    answer = np.where(place == contents.place[image], YES, NO)
    return Asked([f"Is this a {PLACES[k]}?" for k in place.tolist()], answer)


def _how_many(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
    shape, _ = _one_of(contents, image, rng)
    count = ((contents.shape[image] == shape[:, None]) & contents.shown[image]).sum(1)
    return Asked([f"How many {_several(s)} are there{{}}?" for s in shape.tolist()], FIRST_NUMBER + count)


def _how_many_in_all(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
    return Asked(["How many shapes are there{}?"] * len(image), FIRST_NUMBER + contents.count[image])


def _what_colour(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
    """Of a shape that a picture shows; of several the colour of the first."""
    shape, _ = _one_of(contents, image, rng)
    first = ((contents.shape[image] == shape[:, None]) & contents.shown[image]).argmax(1)
    answer = FIRST_COLOUR + contents.colour[image, first]
    return Asked([f"What color is the {SHAPES[s]}{{}}?" for s in shape.tolist()], answer)


def _where(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
    return Asked(["Where is this?"] * len(image), FIRST_PLACE + contents.place[image])


def _what_thing(words: str) -> Callable[[Contents, np.ndarray, np.random.Generator], Asked]:
    def asked(contents: Contents, image: np.ndarray, rng: np.random.Generator) -> Asked:
        thing = contents.thing[image]
        nouns = (NOUNS[k] for k in noun_of(thing).tolist())
        return Asked([words.replace("NOUN", noun) for noun in nouns], FIRST_THING + thing)

    return asked


def _several(shape: int) -> str:
    return f"{SHAPES[shape]}{'es' if SHAPES[shape].endswith('s') else 's'}"


KINDS = (
    Kind("is there a", "yes/no", 0.22, 0.9, _is_there),
    Kind("are there any", "yes/no", 0.08, 0.9, _are_there),
    Kind("is this a", "yes/no", 0.08, 0.9, _is_this),
    Kind("how many", "number", 0.08, 0.8, _how_many),
    Kind("how many shapes are", "number", 0.05, 0.75, _how_many_in_all),
    Kind("what color is the", "other", 0.12, 0.85, _what_colour),
    Kind("where is", "other", 0.03, 0.75, _where),
    Kind("what is this", "other", 0.14, 0.65, _what_thing("What is this thing?")),
    Kind("what is in the", "other", 0.12, 0.65, _what_thing("What is in the corner?")),
    Kind("what kind of", "other", 0.08, 0.65, _what_thing("What kind of NOUN is this?")),
)
_OF_SHAPES = (3, 5)  # which need one; of pictures without, the thing is asked for
_FALLBACK = 7
