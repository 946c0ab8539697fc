"""Weight files that others made: safetensors, torch.save, and msgpack as Flax writes it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.files import reason
from jaxlab.core.machine import check_room
from jaxlab.core.types import WEIGHT_SUFFIXES, UserError

_MSGPACK = (".msgpack", ".flax")
SUFFIXES = (*WEIGHT_SUFFIXES, *_MSGPACK)  # of the files that can be shown


def is_weight_file(path: Path) -> bool:
    """By its name."""
    return path.suffix in SUFFIXES and path.is_file()


def is_msgpack(path: Path) -> bool:
    """By its name."""
    return path.suffix in _MSGPACK and path.is_file()


def arrays_of(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """{field: {path: array}}. Of msgpack the fields are the tree's top level, of others all are "params".

    Raises UserError, naming the file, for one that is damaged or holds something else.
    """
    if path.suffix in _MSGPACK:
        return _msgpack(path)
    from jaxlab.weights.read import read

    arrays, _ = read(str(path))
    return {"params": arrays}


def _msgpack(path: Path) -> dict[str, dict[str, np.ndarray]]:
    from flax import serialization

    try:
        check_room(str(path), {"the file": path.stat().st_size})
        tree = serialization.msgpack_restore(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {reason(error)}") from error
    except UserError:
        raise
    except Exception as error:  # of msgpack, numpy and Flax, by what is damaged
        raise UserError(f"{path}: expected msgpack as Flax writes it ({error!r:.120})") from error
    found: dict[str, dict[str, np.ndarray]] = {}
    for names, leaf in _leaves(tree):
        field, _, rest = ".".join(names).partition(".")
        found.setdefault(field, {})[rest or "value"] = leaf
    if not any(leaf.ndim for named in found.values() for leaf in named.values()):
        raise UserError(f"{path}: expected arrays, found none")
    return found


def _leaves(tree: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Arrays and numbers of nested dicts and lists, these by place; others, as texts, are no leaves."""
    if isinstance(tree, list | tuple):
        tree = dict(enumerate(tree))
    if isinstance(tree, Mapping):
        for name, inside in tree.items():
            yield from _leaves(inside, (*names, str(name)))
    elif (leaf := np.asarray(tree)).dtype.kind not in "OUSV" or "float" in str(leaf.dtype):
        yield names or ("value",), leaf
