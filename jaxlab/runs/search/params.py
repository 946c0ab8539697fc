"""Settings as Optuna has them: a distribution for each space, and each value as a number, a word or a truth value."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxlab.core.types import UserError
from jaxlab.experiment.spaces import Choice, Int, Log, Space, Uniform, label

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

_PLAIN = (str, int, float, bool, type(None))


def distributions(space: Mapping[str, Space]) -> "dict[str, BaseDistribution]":
    """{field: what Optuna draws from}."""
    return {name: _distribution(one) for name, one in space.items()}


def _distribution(one: Any) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    made = {
        Choice: lambda: CategoricalDistribution(_choices(one)),
        Int: lambda: IntDistribution(one.low, one.high),
        Log: lambda: FloatDistribution(one.low, one.high, log=True),
        Uniform: lambda: FloatDistribution(one.low, one.high),
    }
    return made[type(one)]()


def suggested(trial: "Trial", space: Mapping[str, Space]) -> dict[str, Any]:
    """The parameters of an Optuna trial: those that it has, and for the others what its study's sampler says."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    found: dict[str, Any] = {}
    for name, one in distributions(space).items():
        known: Any = one
        if isinstance(one, CategoricalDistribution):
            found[name] = trial.suggest_categorical(name, known.choices)
        elif isinstance(one, FloatDistribution):
            found[name] = trial.suggest_float(name, known.low, known.high, log=known.log)
        else:
            found[name] = trial.suggest_int(name, known.low, known.high)
    return found


def settings(space: Mapping[str, Space], params: Mapping[str, Any]) -> dict[str, Any]:
    """The values of fields that parameters mean. Raises UserError for those of another search."""
    try:
        return {name: _value(one, params[name]) for name, one in space.items()}
    except (KeyError, ValueError) as error:
        raise UserError(
            f"trial.json: expected values of what is searched, {', '.join(space)}, found {dict(params)!r:.200}"
        ) from error


def params(space: Mapping[str, Space], values: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse."""
    return {name: _param(one, values[name]) for name, one in space.items()}


def _choices(choice: Choice) -> tuple[Any, ...]:
    """The values themselves, where all are plain and differ to Optuna, to whom 1 and True are the same; else labels."""
    plain = all(type(value) in _PLAIN for value in choice.values)
    if plain and len(set(choice.values)) == len(choice.values):
        return choice.values
    return tuple(map(label, choice.values))


def _value(one: Space, param: Any) -> Any:
    if isinstance(one, Choice):
        return one.values[_choices(one).index(param)]
    return param


def _param(one: Space, value: Any) -> Any:
    if isinstance(one, Choice):
        return _choices(one)[place(one, value)]
    return value


def place(choice: Choice, value: Any) -> int:
    """Which of the values it is. By their labels: to Python, 1 and True are the same."""
    return [label(one) for one in choice.values].index(label(value))
