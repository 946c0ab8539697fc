"""Modules that were not written for jaxlab: what Flax's own layers need to know is told them while they run.

`nnx.BatchNorm` and `nnx.Dropout` have no argument for the mode of a pass. `adopted` gives them one: their batch
statistics are then those of all devices in training and the running ones in evaluation, their masks follow the rows.
What cannot be carried, such as random numbers that a module keeps for itself, is refused; so is what mixes the rows of
a batch in evaluation (`check_rows`).
"""

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.nn.cpu import switched

SOLE = "features"  # the name of those of a module that returns an array
_FIRST = (
    1 << 16
)  # dropout layers of such modules are numbered from here on: modules of jaxlab number their own
_NO_MODES = ("train", "training", "is_training", "deterministic", "use_running_average", "rng", "rngs", "key")
_MODE: ContextVar[Mode] = ContextVar("mode", default=EVALUATION)


def adopted(module: Any, owner: str) -> Any:
    """`module`, its layers of Flax made to follow the mode that `features` or `running` runs them in.

    owner: what made it, for messages. Raises UserError for what is no nnx.Module, and for state that is neither
    parameters nor batch statistics.
    """
    if not isinstance(module, nnx.Module):
        raise UserError(
            f"{owner}.build: expected a flax.nnx.Module, found {type(module).__name__}"
            f"{', a module of flax.linen; nnx.bridge.ToNNX makes it one of nnx' * hasattr(module, 'apply')}"
        )
    number = _FIRST
    for _, part in nnx.iter_graph(module):
        if isinstance(part, nnx.BatchNorm):
            object.__setattr__(part, "__class__", _following(type(part), _normalised, observed=False))
        elif isinstance(part, nnx.Dropout):
            object.__setattr__(part, "__class__", _following(type(part), _dropped))
            part.rngs = nnx.data(None)
            part.layer = number  # type: ignore[attr-defined]
            number += 1
    _check_state(module, owner)
    return module


def features(module: Any, seen: Any, mode: Mode) -> dict[str, Array]:
    """What `module` makes of images or features, by name; of a sole array under "features".

    It is called as module(seen, mode), or as module(seen) where it needs no more. Raises UserError for other arguments
    and results.
    """
    kind: Any = type(module)
    with running(mode):
        found = module(seen, mode) if _takes_mode(kind) else module(seen)
    if isinstance(found, jax.Array):
        return {SOLE: found}
    if isinstance(found, Mapping) and found and all(isinstance(value, jax.Array) for value in found.values()):
        return dict(found)
    raise UserError(
        f"{type(module).__name__}: expected an array, or a dict of arrays by layer, as what it returns; found "
        f"{_described(found)}"
    )


def check_rows(forward: Callable[[Any], Any], shape: Any, owners: Sequence[Any]) -> None:
    """Raises UserError where one of `owners` that is not jaxlab's own mixes the rows of a batch in evaluation.

    Predictions would then depend on which images come together. Seen by a row of NaN between two of zeros, which
    takes one compiled call; without a part of the user's there is none. forward: a batch -> arrays of its rows.
    shape: of images, or {name: shape} of features.
    """
    others = (owner for owner in owners if not type(owner).__module__.startswith("jaxlab."))
    own = list(dict.fromkeys(type(owner).__name__ for owner in others))
    if not own:
        return
    with jax.debug_nans(False), switched(False):  # all at once: taken in turns, rows would not meet
        rows = jax.tree.map(_zeros_and_nan, tree.example(shape))
        found = jax.device_get(jax.jit(forward)(rows))
    if all(np.isfinite(leaf[[0, 2]]).all() for leaf in jax.tree.leaves(found)):
        return
    raise UserError(
        f"{', '.join(own)}: what is made of one image depends on the others in its batch, in evaluation too, so that "
        "predictions would depend on which images come together. Normalise within an image, or by nnx.BatchNorm, which "
        "takes running statistics then; a statistic of one's own (nnx.BatchStat) is to change where mode.train alone"
    )


def _zeros_and_nan(example: jax.ShapeDtypeStruct) -> Array:
    zeros = jnp.zeros(example.shape, example.dtype)
    other = (
        jnp.nan if jnp.issubdtype(example.dtype, jnp.inexact) else 0
    )  # of words there are no numbers to lose
    return jnp.concatenate([zeros, jnp.full_like(zeros, other), zeros])


def running_mode() -> Mode:
    """The one that layers of Flax run in now."""
    return _MODE.get()


@contextmanager
def running(mode: Mode) -> Iterator[None]:
    """While layers of Flax run in `mode`."""
    token = _MODE.set(mode)
    try:
        yield
    finally:
        _MODE.reset(token)


def _described(found: Any) -> str:
    if isinstance(found, Mapping):
        return (
            f"a dict of {', '.join(sorted({type(value).__name__ for value in found.values()})) or 'nothing'}"
        )
    return f"a {type(found).__name__}"


@functools.cache
def _takes_mode(cls: Any) -> bool:
    """Whether a second argument is needed, or is called so. Raises UserError for one that means something else."""
    parameters = list(inspect.signature(cls.__call__).parameters.values())[1:]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2 or not (
        positional[1].default is inspect.Parameter.empty or positional[1].name == "mode"
    ):
        return False
    if positional[1].name in _NO_MODES:
        raise UserError(
            f"{cls.__name__}: expected a call as (images, mode), where mode.train says whether it is training, or as "
            f"(images), found (images, {positional[1].name})"
        )
    return True


def _check_state(module: nnx.Module, owner: str) -> None:
    others = {
        ".".join(map(str, path)): type(leaf).__name__
        for path, leaf in nnx.to_flat_state(nnx.state(module))
        if not issubclass(leaf.type if hasattr(leaf, "type") else type(leaf), nnx.Param | nnx.BatchStat)
    }
    if not others:
        return
    listed = ", ".join(f"{path} ({kind})" for path, kind in list(others.items())[:4])
    raise UserError(
        f"{owner}: expected parameters (nnx.Param) and batch statistics (nnx.BatchStat), found {len(others)} others: "
        f"{listed}. Random numbers that a module keeps for itself would differ by how a batch is divided: "
        "leave nnx.Rngs out of its attributes, and use nnx.Dropout or jaxlab.core.rng.dropout(x, rate, mode, layer)"
    )


@functools.cache
def _following(cls: type[Any], call: Callable[..., Array], **attributes: Any) -> type[Any]:
    """The class `cls`, whose instances are called by `call`; it adds no room to them, so that they may change to it."""
    if getattr(cls, "_follows", False):
        return cls
    body = {"__module__": cls.__module__, "__slots__": (), "_follows": True, **attributes}
    body["__call__"] = functools.partialmethod(call, cls.__call__)
    return types.new_class(cls.__name__, (cls,), exec_body=lambda space: space.update(body))


def _normalised(
    self: Any, call: Callable[..., Array], x: Array, use_running_average: bool | None = None, **more: Any
) -> Array:
    """nnx.BatchNorm: running statistics in evaluation, or where it is frozen; in training those of all devices.

    Its attributes and their effect are those of `jaxlab.nn.norm.BatchNorm`.
    """
    mode = _MODE.get()
    frozen = self.use_running_average is True or (use_running_average is True and mode.momentum is None)
    if self.observed:
        mean, slope = self.mean[...], jax.lax.rsqrt(self.var[...] + self.epsilon)
        normalised = ((x.astype(jnp.float32) - mean) * slope).reshape(len(x), -1, x.shape[-1])
        self.moments = nnx.Intermediate(jnp.stack([normalised.mean(1), jnp.square(normalised).mean(1)]))
    given: dict[str, Any] = {"axis_name": mode.axis_name}
    if mode.momentum is not None:
        given["momentum"] = 1 - mode.momentum
    with _attributes(self, given):
        return call(self, x, frozen or not (mode.train or mode.momentum is not None), **more)


@contextmanager
def _attributes(module: Any, given: Mapping[str, Any]) -> Iterator[None]:
    """While the attributes of `module` are those of `given`, which may be traced."""
    own = vars(module)
    before = {name: own[name] for name in given}
    own.update(given)
    try:
        yield
    finally:
        own.update(before)


def _dropped(
    self: Any, call: Callable[..., Array], x: Array, *, deterministic: bool | None = None, rngs: Any = None
) -> Array:
    """nnx.Dropout: in training the mask of a row is drawn from that row's key, in evaluation there is none."""
    mode = _MODE.get()
    off = self.deterministic is True if deterministic is None else deterministic
    if self.rate == 0 or off or not mode.train:
        return x
    if mode.row_keys is None or len(x) % len(mode.row_keys):
        rows = "none" if mode.row_keys is None else str(len(mode.row_keys))
        raise UserError(
            f"nnx.Dropout: expected rows that are those of the batch or parts of them, {rows}, found {len(x)}"
        )
    keys = jax.vmap(jax.random.fold_in, (0, None))(mode.row_keys, self.layer)
    if (parts := len(x) // len(keys)) > 1:
        keys = jax.vmap(lambda key: jax.random.split(key, parts))(keys).reshape(-1)
    shape = [1 if axis in self.broadcast_dims else side for axis, side in enumerate(x.shape)][1:]
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, shape))(keys)
    return jnp.where(keep, x / max(1 - self.rate, 1e-12), 0).astype(x.dtype)
