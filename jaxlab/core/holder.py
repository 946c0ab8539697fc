"""Who holds a lock: which process of which machine, since when, doing what; and whether it still does.

A process of this machine is known by its number and the moment at which it began, so that a number that was given
again is not taken for it. One elsewhere is known by the signs of life that it writes into the lock: whether they go
on is watched for a while, and no clock of another machine is compared with ours.
"""

import contextlib
import json
import os
import platform
import re
import shlex
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jaxlab.core.passwords import without_passwords

BEATS = 10.0  # seconds between two signs of life
STALE = 60.0  # seconds without one, after which a process elsewhere is taken to be no more
WATCHED = 2.5 * BEATS  # of these, seconds of watching at least: the age of a file depends on two clocks
_USER = re.compile(r"(?<=://)[^/@\s]*@")  # it may be a token
BEAT = "beat"


def record() -> dict[str, Any]:
    """What a lock says of this process."""
    since = datetime.now(UTC).isoformat(" ", "seconds")
    who = {"pid": os.getpid(), "host": platform.node(), "machine": _machine(), "began": _began(os.getpid())}
    return {**who, "since": since, "command": _command(), "token": uuid.uuid4().hex, BEAT: 0}


def written(holder: Mapping[str, Any]) -> bytes:
    return json.dumps(holder).encode()


def read(number: int) -> dict[str, Any]:
    """What an open lock file says; {} where it says nothing."""
    try:
        found = json.loads(os.pread(number, 4096, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def told(holder: Mapping[str, Any]) -> str:
    """Who it is, in a message."""
    command = f" ({holder['command']})" if isinstance(holder.get("command"), str) else ""
    return f"process {holder.get('pid', '?')} on {holder.get('host', '?')}{command}"


def is_here(holder: Mapping[str, Any]) -> bool:
    """Whether it is, or was, a process of this machine since it was started, and of this container."""
    return holder.get("host") == platform.node() and holder.get("machine") in (None, _machine())


def is_alive(holder: Mapping[str, Any]) -> bool:
    """As far as can be told from here, without waiting."""
    if not is_here(holder):
        return bool(holder)
    try:
        pid = int(holder["pid"])
        os.kill(pid, 0)
    except (ProcessLookupError, KeyError, ValueError, TypeError, OverflowError):
        return False
    except OSError:
        pass  # it is another user's
    return holder.get("began") in (None, _began(pid))


def gives_signs(file: Path, holder: Mapping[str, Any], patient: bool, say: Callable[[str], None]) -> bool:
    """Whether a process on another machine still writes signs of life into its lock.

    patient: watch for some, until it has been silent for `STALE` seconds; else go by the age of the file.
    say: is told that it takes a while.
    """
    if BEAT not in holder:  # an earlier version, which wrote none
        return False
    seen = age_of(file)
    if not patient:
        return seen is not None and seen < STALE
    wait = max(WATCHED, STALE - max(seen or 0.0, 0.0))
    say(f"watching for signs of life of {told(holder)}, {wait:.0f} s at most")
    ends = time.monotonic() + wait
    while time.monotonic() < ends:
        time.sleep(min(1.0, wait / 10))
        if (now := _at(file)) != holder:
            return bool(now)  # else it has ended
    return False


def age_of(file: Path) -> float | None:
    """Seconds since the last sign of life, by this machine's clock; None where there is no such file."""
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return None


def _at(file: Path) -> dict[str, Any]:
    """Opened anew each time: a network disk then asks its server."""
    try:
        number = os.open(file, os.O_RDONLY)
    except OSError:
        return {}
    try:
        return read(number)
    finally:
        os.close(number)


@cache
def _machine() -> str | None:
    """Tells apart machines, and containers on them, that have one name; a restart makes another of it."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return None


def _began(pid: int) -> int | None:
    """When a process of this machine began, in ticks since that did; None where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
        return int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _command() -> str:
    """As it was typed, without what is secret."""
    program, *arguments = sys.argv or [""]
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.name  # as `python -m jaxlab`
    return _USER.sub("***@", shlex.join([name, *map(without_passwords, arguments)]))[:300]
