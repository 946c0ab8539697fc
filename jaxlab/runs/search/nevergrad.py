"""Nevergrad's optimizers, by ask and tell.

Their state is not kept anywhere: it is that of an optimizer that is asked and told again all that is listed, in the
order in which it happened, which gives the same as one that had been there all the time.
"""

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from jaxlab.core.mistyped import nearest
from jaxlab.core.types import UserError
from jaxlab.experiment import study as plans
from jaxlab.experiment.search import Search
from jaxlab.experiment.spaces import Choice, Int, Log, Space, Uniform
from jaxlab.runs.search.params import params, place, settings

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

USUAL = "NGOpt"
_ATTEMPTS = 20  # at settings that are not known yet


def check(name: str) -> None:
    """Raises UserError where nevergrad is not installed, or has no optimizer of that name."""
    registry = _library().optimizers.registry
    if name not in registry:
        raise UserError(
            f"Search.sampler: nevergrad has no optimizer {name!r}; {nearest(name, registry, 'it has')[:300]}"
        )


def replayed(search: Search, name: str, study: "Study", trial: "FrozenTrial") -> dict[str, Any]:
    """The parameters that an optimizer has next for `trial`, after all that happened before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that an optimizer finds large, or a budget small
        replay = _Replay(search, name, study.direction.name == "MINIMIZE")
        for other, ended in _events(study, trial):
            if ended:
                replay.tell(other)
            else:
                replay.ask(other.number)
        return replay.ask(trial.number)


class _Replay:
    """An optimizer that is asked and told again what it was. Settings that are known already are not asked for twice:
    it is told of them at once."""

    def __init__(self, search: Search, name: str, minimised: bool):
        library = _library()
        parts = {_key(number): _parameter(one) for number, one in enumerate(search.space.values())}
        space = library.p.Dict(**parts)
        space.random_state.seed(search.seed)
        made = library.optimizers.registry[name]
        self._optimizer = made(parametrization=space, budget=search.total, num_workers=2)
        self._search, self._sign = search, 1 if minimised else -1
        self._asked: dict[int, Any] = {}
        self._known: list[tuple[dict[str, Any], float]] = []  # parameters, loss

    def ask(self, number: int) -> dict[str, Any]:
        """The parameters of trial `number`."""
        for _ in range(_ATTEMPTS):
            candidate = self._optimizer.ask()
            found = params(self._search.space, _values(self._search, candidate))
            losses = [loss for known, loss in self._known if known == found]
            if not losses:
                break
            self._optimizer.tell(candidate, losses[0])
        self._asked[number] = candidate
        return found

    def tell(self, trial: "FrozenTrial") -> None:
        """What came of a trial, if anything. Of one that it would not have asked for, as far as it takes such.

        Of folds or seeds not that of a trial that was stopped: it is the first one's alone.
        """
        if trial.state.name == "PRUNED" and isinstance(self._search.experiment, plans.Study):
            return
        if trial.value is None or self._search.space.keys() - trial.params.keys():
            return
        known = {name: trial.params[name] for name in self._search.space}
        loss = self._sign * trial.value
        candidate = self._asked.get(trial.number)
        if candidate is None or params(self._search.space, _values(self._search, candidate)) != known:
            values = settings(self._search.space, known)
            inner = [_inner(one, values[name]) for name, one in self._search.space.items()]
            other = {_key(number): value for number, value in enumerate(inner)}
            candidate = self._optimizer.parametrization.spawn_child(new_value=other)
        from nevergrad.common.errors import TellNotAskedNotSupportedError

        with contextlib.suppress(TellNotAskedNotSupportedError):
            self._optimizer.tell(candidate, loss)
        self._known.append((known, loss))


def _key(number: int) -> str:
    """A field's name, which may have dots, as nevergrad takes it."""
    return f"p{number}"


def _events(study: "Study", trial: "FrozenTrial") -> "list[tuple[FrozenTrial, bool]]":
    """Each trial that was asked for before this one, and each that came to its end, in order of time."""
    found = []
    for other in study.get_trials(deepcopy=False):
        if other.number == trial.number or other.datetime_start is None:
            continue
        found.append((other.datetime_start, other.number, False, other))
        if other.datetime_complete is not None:
            found.append((other.datetime_complete, other.number, True, other))
    return [(other, ended) for *_, ended, other in sorted(found, key=lambda one: one[:3])]


def _parameter(one: Any) -> Any:
    library = _library()
    made = {
        Choice: lambda: library.p.Choice(list(range(len(one.values)))),
        Int: lambda: library.p.Scalar(lower=one.low, upper=one.high).set_integer_casting(),
        Log: lambda: library.p.Log(lower=one.low, upper=one.high),
        Uniform: lambda: library.p.Scalar(lower=one.low, upper=one.high),
    }
    return made[type(one)]()


def _values(search: Search, candidate: Any) -> dict[str, Any]:
    """A candidate as values of fields."""
    found = candidate.value
    return {name: _outer(one, found[_key(number)]) for number, (name, one) in enumerate(search.space.items())}


def _outer(one: Space, value: Any) -> Any:
    if isinstance(one, Choice):
        return one.values[value]
    low, high = one.ends()
    return min(max(int(value) if isinstance(one, Int) else float(value), low), high)


def _inner(one: Space, value: Any) -> Any:
    return place(one, value) if isinstance(one, Choice) else value


def _library() -> Any:
    try:
        import nevergrad
    except ModuleNotFoundError:
        raise UserError(
            'Search.sampler: nevergrad is not installed; pip install "jaxlab[nevergrad]", or take tpe'
        ) from None
    return nevergrad
