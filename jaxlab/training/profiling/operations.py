"""Which kind each operation of the compiled programs is, from the programs that a profile (*.xplane.pb) holds.

The fields' numbers are those of xplane.proto, hlo.proto and xla_data.proto in openxla/xla.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from jaxlab.core.scopes import SCOPE, Scope
from jaxlab.training.profiling.wire import messages, numbers, text

Kinds = Mapping[str, Mapping[str, str]]  # {module: {operation: its kind}}
CONTROL = "control"  # of an operation that runs others, whose time is theirs
COPIES, DEVICES, PRODUCTS, REST = "copies", "between devices", "matrix products", "the rest"
KINDS = (*get_args(Scope), PRODUCTS, DEVICES, COPIES, REST)
_CONTROL = ("while", "conditional", "call", "async-start", "async-update", "async-done")
_COLLECTIVE = ("all-reduce", "all-gather", "all-to-all", "reduce-scatter", "collective-", "send", "recv")
_HEAVY = ("convolution", "dot", "custom-call")


class _Operation(NamedTuple):
    opcode: str
    name: str  # what it was traced from: jit(train_step)/jvp(jaxlab_normalisation)/mul
    called: list[int]


def kinds_in(file: Path) -> Kinds:
    """Of each operation in a profile's programs. Raises ValueError where it is none, OSError as reading does."""
    found: dict[str, dict[str, str]] = {}
    for plane in messages(memoryview(file.read_bytes()), 1):
        if text(plane, 2) == "/host:metadata":
            for entry in messages(plane, 4):
                for module in _programs(entry):
                    found.setdefault(text(module, 1), {}).update(_kinds(module))
    return found


def _programs(entry: memoryview) -> Iterator[memoryview]:
    """The HloModuleProtos in the statistics of an event's metadata."""
    for metadata in messages(entry, 2):
        for statistic in messages(metadata, 5):
            for program in messages(statistic, 6):
                yield from messages(program, 1)


def _kinds(module: memoryview) -> dict[str, str]:
    computations: dict[int, list[_Operation]] = {}
    named: dict[str, _Operation] = {}
    for computation in messages(module, 3):
        within = {text(one, 1): _operation(one) for one in messages(computation, 2)}
        for number in numbers(computation, 5):
            computations[number] = list(within.values())
        named |= within
    return {name: _kind(one, computations) for name, one in named.items()}


def _operation(instruction: memoryview) -> _Operation:
    name = next((text(metadata, 2) for metadata in messages(instruction, 7)), "")
    return _Operation(text(instruction, 2), name, numbers(instruction, 38))


def _kind(operation: _Operation, computations: Mapping[int, list[_Operation]]) -> str:
    if operation.opcode in _CONTROL:
        return CONTROL
    if operation.opcode.startswith(_COLLECTIVE):
        return DEVICES
    fused = operation.opcode == "fusion"
    inner = [one for number in operation.called for one in computations.get(number, ())] if fused else []
    for one in (one for one in inner if one.opcode in _HEAVY):  # what takes its time
        return _alone(one)
    own = _alone(operation)
    if own != REST or not inner:
        return own
    others = Counter(kind for kind in map(_alone, inner) if kind not in (REST, COPIES))
    return others.most_common(1)[0][0] if others else own


def _alone(operation: _Operation) -> str:
    """Of one that is not looked into: by the innermost scope that it was traced in, else by what it does."""
    scopes = _scopes(operation.name)
    if scopes:
        return scopes[-1]
    if operation.opcode == "convolution":
        return "convolution"
    if operation.opcode == "dot" or "dot_general" in operation.name:
        return PRODUCTS
    return COPIES if operation.opcode.startswith("copy") else REST


def _scopes(name: str) -> list[str]:
    """In the order of nesting: a scope may stand within jvp(...) and transpose(...)."""
    words: Iterable[str] = name.replace("(", "/").replace(")", "/").split("/")
    known = get_args(Scope)
    return [
        word.removeprefix(SCOPE)
        for word in words
        if word.startswith(SCOPE) and word.removeprefix(SCOPE) in known
    ]
