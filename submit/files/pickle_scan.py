"""A look through a pickle before it is loaded: how large would become what it builds?

A few hundred bytes can name one list ten times in another, that one ten times in a third, and so on; who then walks
through it, or hashes it, never ends. Others ask for room for 2^28 remembered objects.
"""

import pickletools
from typing import Any

from submit.errors import SubmissionError

_LEAST = 100_000  # objects that any pickle may hold
_TIMES = 100  # or as many as this, times its instructions
_PUT, _GET = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
_ADDED = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}  # how many objects are added to the one below them
_ADDED_FROM_MARK = ("APPENDS", "SETITEMS", "ADDITEMS")
_MARK: list[int] = []


def refuse_swollen(content: bytes) -> None:
    """Raises SubmissionError for a pickle that builds far more objects than it has instructions, or remembers so many.

    Raises ValueError, IndexError or KeyError where it is damaged. Objects are counted as often as they are reached; one
    that grows after it was put somewhere is not counted anew there, as nothing that can be hashed does.
    """
    stack: list[list[int]] = []
    memo: dict[int, list[int]] = {}
    for number, (operation, argument, _) in enumerate(pickletools.genops(content)):
        node = _step(operation, argument, stack, memo)
        if node and node[0] > max(_LEAST, _TIMES * number):
            raise SubmissionError(
                "it cannot be read as a pickle (few instructions make it grow beyond all bounds)."
            )
        if operation.name in _PUT and int(argument or 0) > max(_LEAST, _TIMES * number):
            raise SubmissionError(
                f"it cannot be read as a pickle (it asks for {int(argument or 0):,} remembered objects)."
            )


def _step(
    operation: Any, argument: Any, stack: list[list[int]], memo: dict[int, list[int]]
) -> list[int] | None:
    """Does one instruction on counts [objects]; gives the one that it made or added to."""
    name = operation.name
    if name == "MARK":
        stack.append(_MARK)
    elif name in _PUT or name == "MEMOIZE":
        memo[len(memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
    elif name in _GET or name == "DUP":
        stack.append(stack[-1] if name == "DUP" else memo[int(argument)])
    elif name in _ADDED or name in _ADDED_FROM_MARK:
        added = [stack.pop() for _ in range(_ADDED[name])] if name in _ADDED else _to_mark(stack)
        stack[-1][0] += sum(node[0] for node in added)
        return stack[-1]
    else:
        return _made(operation, stack)
    return None


def _made(operation: Any, stack: list[list[int]]) -> list[int] | None:
    before = operation.stack_before
    used = _to_mark(stack) if pickletools.markobject in before else []
    below = before.index(pickletools.markobject) if pickletools.markobject in before else len(before)
    used += [stack.pop() for _ in range(below)]
    made = None
    for _ in operation.stack_after:
        made = [1 + sum(node[0] for node in used)]
        stack.append(made)
    return made


def _to_mark(stack: list[list[int]]) -> list[list[int]]:
    above = []
    while (node := stack.pop()) is not _MARK:
        above.append(node)
    return above
