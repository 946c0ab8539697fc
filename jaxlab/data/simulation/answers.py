"""What simulated questions are about and may be answered with: words, and how frequent each is."""

from functools import cache

import numpy as np

SHAPES = ("square", "circle", "triangle", "cross")
COLOURS = ("white", "red", "blue", "black", "green", "yellow", "orange", "purple", "pink", "gray")
PLACES = (
    "kitchen", "street", "beach", "park", "bathroom", "field", "living room", "bedroom", "zoo", "office", "forest",
    "airport", "desert", "harbor", "market", "stadium", "garden", "church", "station", "mountain",
)  # fmt: skip
NOUNS = (
    "dog", "cat", "horse", "bird", "cow", "sheep", "bear", "zebra", "giraffe", "elephant", "pizza", "cake", "apple",
    "banana", "carrot", "broccoli", "sandwich", "donut", "cheese", "bread", "car", "bus", "train", "truck",
    "bicycle", "motorcycle", "boat", "plane", "skateboard", "surfboard", "chair", "table", "couch", "bed", "lamp",
    "clock", "vase", "mirror", "sink", "toilet", "phone", "laptop", "keyboard", "mouse", "television", "remote",
    "camera", "radio", "book", "pen", "hat", "shirt", "tie", "shoe", "glove", "umbrella", "bag", "suitcase",
    "watch", "glasses", "ball", "bat", "racket", "frisbee", "kite", "ski", "snowboard", "helmet", "net", "goal",
    "tree", "flower", "grass", "leaf", "bush", "rock", "sand", "water", "snow", "cloud", "bottle", "cup", "bowl",
    "plate", "fork", "knife", "spoon", "glass", "pot", "pan", "oven", "fridge", "microwave", "toaster", "blender",
    "window", "door", "wall", "fence", "gate", "bridge", "tower", "sign", "pole", "bench", "hydrant", "meter",
    "light", "flag", "box", "basket", "bucket", "ladder", "rope", "tent", "candle", "pillow", "blanket", "curtain",
    "rug", "towel", "soap", "brush", "scissors", "hammer", "drill", "saw", "nail", "coin", "key", "ring", "statue",
    "painting", "guitar", "drum", "piano", "violin",
)  # fmt: skip
KINDS = (
    "small", "large", "old", "new", "wooden", "metal", "plastic", "paper", "glass", "striped", "spotted", "round",
    "square", "tall", "short", "long", "thin", "thick", "soft", "hard", "shiny", "dull", "dark", "bright", "pale",
    "clean", "dirty", "wet", "dry", "hot", "cold", "empty", "full", "open", "closed", "broken", "folded", "painted",
    "carved", "woven", "knitted", "leather", "cotton", "silk", "rubber", "stone", "brick", "marble", "golden",
    "silver", "copper", "bronze", "modern", "antique", "rustic", "fancy", "plain", "simple", "heavy", "light",
    "flat", "curved", "bent", "straight", "loose", "tight", "smooth", "rough", "sharp", "blunt", "fresh", "frozen",
    "baked", "fried", "grilled", "boiled", "sliced", "peeled", "ripe", "raw", "sweet", "sour", "spicy", "salty",
    "wild", "tame", "young", "baby", "giant", "tiny", "toy", "model", "vintage", "electric", "wireless", "portable",
    "folding", "hanging", "standing", "sitting", "running", "sleeping", "flying", "jumping", "swimming", "eating",
    "happy", "sad", "angry", "sleepy", "hairy", "furry", "bald", "left", "right", "front", "back", "upper", "lower",
    "inner", "outer", "northern", "southern", "eastern", "western", "winter", "summer", "autumn", "spring",
    "morning", "evening", "night", "holiday", "birthday", "wedding", "school", "office", "garden", "kitchen",
)  # fmt: skip
NUMBERS = tuple(map(str, range(13)))
_WRITTEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

YES, NO, FIRST_NUMBER = 0, 1, 2
FIRST_COLOUR = FIRST_NUMBER + len(NUMBERS)
FIRST_PLACE = FIRST_COLOUR + len(COLOURS)
FIRST_THING = FIRST_PLACE + len(PLACES)
THINGS = len(NOUNS) * (1 + len(KINDS))  # each noun alone, and of each kind


@cache
def words() -> tuple[str, ...]:
    """Each answer by its number: yes, no, numbers, colours, places, then things, the most frequent first."""
    things = (*NOUNS, *(f"{kind} {noun}" for kind in KINDS for noun in NOUNS))
    return ("yes", "no", *NUMBERS, *COLOURS, *PLACES, *things)


@cache
def variants() -> tuple[tuple[str, ...], ...]:
    """Other ways in which each answer is written, that mean the same to the benchmark."""
    of_numbers = [(word,) for word in _WRITTEN]
    of_numbers += [(number,) for number in NUMBERS[len(_WRITTEN) :]]
    others = ((f"the {word}", f"a {word}") for word in words()[FIRST_COLOUR:])
    return (("Yes", "yes."), ("No", "no."), *of_numbers, *others)


def noun_of(thing: np.ndarray) -> np.ndarray:
    """(n,) the number of the noun of each thing."""
    return thing % len(NOUNS)


def shares(count: int, flat: float) -> np.ndarray:
    """(count,) shares that fall as 1 / (rank + flat), as those of words do (Mandelbrot 1953)."""
    weights = 1 / (np.arange(count) + 1 + flat)
    return weights / weights.sum()
