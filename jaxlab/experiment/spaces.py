"""What a search may set a field to: a range of numbers, or one of several values."""

import itertools
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlab.core.config import Component
from jaxlab.core.types import UserError

_MOST = 1_000_000  # values of a range, or settings of a grid: so many are listed


@dataclass(frozen=True, kw_only=True)
class Space(Component):
    """Base of the spaces."""

    @abstractmethod
    def ends(self) -> tuple[Any, ...]:
        """Values that stand for all: both ends of a range, or each of those listed."""

    @abstractmethod
    def listed(self) -> Sequence[Any] | None:
        """The values that a grid takes, in order; None of a range that does not say how many."""

    @abstractmethod
    def every(self) -> Sequence[Any] | None:
        """All values that there are, in order; None of more than a million."""


@dataclass(frozen=True)
class _Range(Space):
    """low, high: the ends, both included. count: how many values a grid takes, evenly spread from end to end; other
    samplers take any in between."""

    low: float
    high: float
    count: int | None = None

    def check(self) -> None:
        name = type(self).__name__
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise UserError(f"{name}: expected low below high, found {self.low!r} and {self.high!r}")
        if self.count is not None and not 2 <= self.count <= _MOST:
            raise UserError(f"{name}.count: expected 2 to {_MOST:,}, found {self.count!r:.60}")

    def ends(self) -> tuple[Any, ...]:
        return (self.low, self.high)

    def listed(self) -> tuple[Any, ...] | None:
        return None if self.count is None else tuple(self._spread(self.count))

    def every(self) -> None:
        return None

    def _spread(self, count: int) -> Sequence[Any]:
        """So many values, the ends exactly as they are."""
        inner = [float(value) for value in np.linspace(self.low, self.high, count)[1:-1]]
        return [self.low, *inner, self.high]


@dataclass(frozen=True)
class Uniform(_Range):
    """A number between two, all equally likely: `Uniform(0.0, 0.8)`, on the command line `uniform(0,0.8)`.

    low, high: the ends, both included. count: how many values a grid takes, evenly spread from end to end; other
        samplers take any in between.
    """


@dataclass(frozen=True)
class Log(_Range):
    """A number between two above 0, each magnitude equally likely: `Log(1e-5, 1e-2)`, `log(1e-5,1e-2)`.

    low, high: the ends, both included. count: how many values a grid takes, by equal factors from end to end; other
        samplers take any in between.
    """

    def check(self) -> None:
        super().check()
        if not self.low > 0:
            raise UserError(f"Log: expected low above 0, found {self.low!r}")

    def _spread(self, count: int) -> Sequence[Any]:
        inner = [float(value) for value in np.geomspace(self.low, self.high, count)[1:-1]]
        return [self.low, *inner, self.high]


@dataclass(frozen=True)
class Int(Space):
    """A whole number between two: `Int(1, 8)`, on the command line `int(1,8)`.

    low, high: the ends, both included. count: how many of them a grid takes, evenly spread from end to end; default
        all.
    """

    low: int
    high: int
    count: int | None = None

    def check(self) -> None:
        if not self.low < self.high:
            raise UserError(f"Int: expected low below high, found {self.low!r:.60} and {self.high!r:.60}")
        if not max(abs(self.low), abs(self.high)) < 2**53:
            raise UserError(f"Int: expected ends within 2**53, found {self.low!r:.60} and {self.high!r:.60}")
        if self.count is not None and not 2 <= self.count <= _MOST:
            raise UserError(f"Int.count: expected 2 to {_MOST:,}, found {self.count!r:.60}")

    def ends(self) -> tuple[Any, ...]:
        return (self.low, self.high)

    def every(self) -> Sequence[Any] | None:
        return range(self.low, self.high + 1) if self.high - self.low < _MOST else None

    def listed(self) -> Sequence[Any] | None:
        if self.count is None:
            return self.every()
        spread = np.linspace(self.low, self.high, self.count)
        return tuple(dict.fromkeys(round(value) for value in spread.tolist()))


@dataclass(frozen=True, init=False)
class Choice(Space):
    """One of several values: `Choice(18, 34)`, on the command line `18,34`. Parts of an experiment may be among them:
    `Choice(Cosine(), Constant())`.

    values: whatever the field takes.
    """

    values: tuple[Any, ...]

    def __init__(self, *listed: Any, values: Sequence[Any] = ()):
        object.__setattr__(self, "values", (*listed, *values))
        self.__post_init__()

    def check(self) -> None:
        if not self.values:
            raise UserError("Choice: expected one value or more, found none")
        labels = [label(value) for value in self.values]
        if twice := [one for one in dict.fromkeys(labels) if labels.count(one) > 1]:
            raise UserError(
                f"Choice: expected each value once, found {twice[0]} {labels.count(twice[0])} times"
            )

    def ends(self) -> tuple[Any, ...]:
        return self.values

    def listed(self) -> tuple[Any, ...]:
        return self.values

    def every(self) -> tuple[Any, ...]:
        return self.values


def label(value: Any) -> str:
    """A value as `--set` takes it; of a part of an experiment what it is, with the fields that are not as ever."""
    if isinstance(value, Component):
        usual = _usual(type(value))
        fields = {name: item for name, item in vars(value).items() if usual.get(name, ...) != item}
        return (
            f"{type(value).__name__}({', '.join(f'{name}={label(item)}' for name, item in fields.items())})"
        )
    if isinstance(value, tuple):
        inside = ", ".join(map(_within, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return value if isinstance(value, str) else repr(value)


def _within(value: Any) -> str:
    return repr(value) if isinstance(value, str) else label(value)


def _usual(cls: type[Component]) -> Mapping[str, Any]:
    try:
        return vars(cls())
    except TypeError:  # it has fields without a default
        return {}


def settable(value: Any) -> bool:
    """Whether `--set` takes the value: not where it is, or holds, a part of an experiment."""
    if isinstance(value, tuple):
        return all(map(settable, value))
    return not isinstance(value, Component | Mapping)


def grid_size(space: Mapping[str, Space]) -> int | None:
    """How many settings a grid of these has; None where a range does not say how many values."""
    return _product([one.listed() for one in space.values()])


def space_size(space: Mapping[str, Space]) -> int | None:
    """How many settings there are; None of a range of numbers, or of more whole ones than a million."""
    return _product([one.every() for one in space.values()])


def _product(values: Sequence[Sequence[Any] | None]) -> int | None:
    known = [len(one) for one in values if one is not None]
    return math.prod(known) if len(known) == len(values) else None


def grid_settings(space: Mapping[str, Space], number: int) -> dict[str, Any]:
    """The grid's setting `number`, from 0; the last field changes fastest."""
    found: dict[str, Any] = {}
    for name, one in reversed(list(space.items())):
        values = one.listed() or ()
        number, place = divmod(number, len(values))
        found[name] = values[place]
    return {name: found[name] for name in space}


def all_settings(space: Mapping[str, Space]) -> Iterator[tuple[Any, ...]]:
    """Each setting of a space that has a `space_size`, as a tuple of values in the order of its fields."""
    return itertools.product(*(one.every() or () for one in space.values()))
