"""How a process becomes one of several that train together, and how it leaves them."""

import atexit
import contextlib
import json
import os
import re
import sys
from typing import Any

import jax

from jaxlab.core.files import reason
from jaxlab.core.types import AGAIN, Interrupted, UserError
from jaxlab.training.hosts.group import Group
from jaxlab.training.hosts.relay import Relay
from jaxlab.training.hosts.watch import SILENT, Gone, Watch, leave_at_once
from jaxlab.training.rundir import provenance

AUTO = "auto"
VARIABLES = ("JAXLAB_COORDINATOR", "JAXLAB_PROCESSES", "JAXLAB_PROCESS")
_ADDRESS = re.compile(r".+:[0-9]{1,5}")
_LAST_PORT = 65535
_SILENT_FOR_JAX = 10 * int(SILENT)  # its own watch ends a process by abort(): ours comes first
_NAMES = ("coordinator", "processes", "process")
_current = Group()
_watch: Watch | None = None
_relay: Relay | None = None


class Abandoned(Interrupted):
    """Another process has gone, so that this one cannot go on. code: the exit code that says what to do about it."""

    def __init__(self, gone: Gone):
        super().__init__(gone.message)
        self.code = gone.code


def current() -> Group:
    """The processes that train with this one."""
    return _current


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    timeout: float = 300.0,
) -> Group:
    """Make this process one of several that train together; call it first of all, in each of them.

    coordinator: HOST:PORT of process 0, where any port will do that is free there; or "auto", as Slurm, Open MPI, TPU
        pods and Kubernetes jobs say. Without one a process stays alone.
    processes: how many there are. process: which this is, from 0 up. What is not given is taken from the environment
        (JAXLAB_COORDINATOR, JAXLAB_PROCESSES, JAXLAB_PROCESS).
    timeout: seconds to wait for the others.

    From then on, all processes call `jaxlab.train` with the same experiment and the same run directory, on a disk that
    all of them see. Process 0 alone writes there and speaks. Where one of them ends without the others, or is silent
    for half a minute, all end, with exit code 75 if the same command goes on from there: this changes the process, and
    is for those that do nothing else.
    Raises UserError where the others do not come, or have other versions of jaxlab or JAX.
    """
    global _current
    coordinator, processes, process = _given(coordinator, processes, process)
    begun = jax.distributed.is_initialized()
    if processes == 1 or (coordinator is None and not begun):
        return _current
    if _current.count > 1:
        raise UserError("join: this process is one of several already; call it once")
    _prepare(coordinator or "")
    try:
        lone = not begun and _begin(str(coordinator), processes, process, int(timeout))
    except UserError:
        raise
    except Exception as error:  # of JAX, by what is wrong
        raise UserError(_failed(str(coordinator), error)) from error
    if lone:
        return _current
    _current = Group(jax_state().process_id, jax_state().num_processes, jax_state().client)
    global _watch
    _watch = Watch(jax_state().client, _current.index, _current.count)
    if _relay is not None:
        _relay.lost = _watch.lost_coordinator
    _watch.start()
    atexit.register(_at_exit)
    versions = provenance()["versions"]
    _current.same(
        "versions",
        json.dumps({name: versions[name] for name in ("jaxlab", "jax", "jaxlib", "flax", "optax")}),
        "install the same ones for all",
    )
    return _current


def _given(
    coordinator: str | None, processes: int | None, process: int | None
) -> tuple[str | None, int | None, int | None]:
    """With what the environment says of what was not given. Raises UserError for what does not go together."""
    said = [os.environ.get(name) or None for name in VARIABLES]
    coordinator = coordinator if coordinator is not None else said[0]
    numbers = [
        _number(name, given, found, variable)
        for name, given, found, variable in zip(
            _NAMES[1:], (processes, process), said[1:], VARIABLES[1:], strict=True
        )
    ]
    processes, process = numbers
    if coordinator is None:
        if (
            odd := [name for name, number in zip(_NAMES[1:], numbers, strict=True) if number is not None]
        ) and (processes != 1):
            raise UserError(f"--{odd[0]}: expected --coordinator HOST:PORT (or auto) with it, found none")
        return None, processes, process
    if coordinator == AUTO:
        return coordinator, processes, process
    if _ADDRESS.fullmatch(coordinator) is None or not 0 < int(coordinator.rpartition(":")[2]) <= _LAST_PORT:
        raise UserError(
            f"--coordinator: expected HOST:PORT of process 0, as node0:8476, with a port of at most {_LAST_PORT}, or "
            f"auto; found {coordinator!r}"
        )
    for name, number in zip(_NAMES[1:], numbers, strict=True):
        if number is None:
            raise UserError(
                f"--coordinator {coordinator}: expected --processes, how many there are, and --process, which this is, "
                f"with it; found no --{name} (or --coordinator auto, where Slurm, Open MPI, a TPU pod or a Kubernetes "
                "job say it)"
            )
    assert processes is not None
    assert process is not None
    if processes < 1:
        raise UserError(f"--processes: expected 1 or more, found {processes}")
    if not 0 <= process < processes:
        raise UserError(
            f"--process: expected 0 to {processes - 1}, of {processes} processes, found {process}"
        )
    return coordinator, processes, process


def _number(name: str, given: int | None, found: str | None, variable: str) -> int | None:
    if given is not None or found is None:
        return given
    if not found.isascii() or not found.isdecimal():
        raise UserError(f"${variable}: expected a whole number for --{name}, found {found!r}")
    return int(found)


def _prepare(coordinator: str) -> None:
    """JAX's settings before its backend starts."""
    if jax.config.values.get("jax_enable_preemption_service"):
        jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM, which we listen for
    if jax.config.values.get("jax_cpu_collectives_implementation") in (None, "none"):
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if any("_proxy" in name.lower() for name in os.environ):  # gRPC would look for the coordinator behind it
        before = [os.environ[name] for name in ("no_grpc_proxy", "no_proxy") if os.environ.get(name)]
        host = coordinator.rpartition(":")[0].strip("[]")
        os.environ.update(no_grpc_proxy=",".join([*before[:1], "127.0.0.1", "localhost", host]))
        jax.config.update("jax_check_proxy_envs", False)


def _begin(coordinator: str, processes: int | None, process: int | None, timeout: int) -> bool:
    """Start jax.distributed; True where it turns out that there is one process."""
    global _relay
    devices = None
    if coordinator == AUTO:
        coordinator, *found, devices = _detected(timeout)
        for name, asked, said in zip(_NAMES[1:], (processes, process), found, strict=True):
            if asked not in (None, said):
                raise UserError(
                    f"--coordinator auto: expected no --{name} with it, or what the launcher says, {said}; found "
                    f"{asked}"
                )
        processes, process = found
        if processes == 1:
            return True
    if process:
        _relay = Relay(coordinator)
        coordinator = _relay.address
    jax.distributed.initialize(
        coordinator,
        processes,
        process,
        devices,
        "deactivate",
        timeout,
        heartbeat_timeout_seconds=_SILENT_FOR_JAX,
    )
    return False


def _detected(timeout: int) -> tuple[str, int, int, Any]:
    """What JAX finds out of the cluster that it is in."""
    from jax._src.clusters import ClusterEnv

    found = ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, timeout)
    coordinator, processes, process, devices = found
    if coordinator is None or processes is None or process is None:
        raise UserError(
            "--coordinator auto: expected a step of Slurm (srun), Open MPI, a TPU pod, or an indexed Kubernetes job "
            "with the package kubernetes; found none of these. Give --coordinator HOST:PORT --processes N --process I"
        )
    return coordinator, processes, process, devices


def _failed(coordinator: str, error: Exception) -> str:
    if "before any JAX calls" in str(error):
        return (
            "--coordinator: JAX has started already, and processes have to find one another before; a config that "
            "computes with JAX as it is read should do so in a function"
        )
    words = (
        reason(error)
        if isinstance(error, OSError)
        else (str(error).splitlines() or [type(error).__name__])[0]
    )
    return (
        f"--coordinator {coordinator}: the processes did not find one another ({words:.200}). Each has to be started "
        "with the same address, which all machines reach, and a --process of its own"
    )


def jax_state() -> Any:
    """What jax.distributed knows; JAX's own multihost_utils and Orbax look there, too."""
    from jax._src.distributed import global_state

    return global_state


def explained(error: Exception) -> BaseException:
    """The error of an operation with the other processes, or that one of these has gone, where that is why."""
    if _watch is None or isinstance(error, UserError):
        return error
    gone = _watch.explain()
    return error if gone is None else Abandoned(gone)


def failed(message: str, code: int = 1) -> None:
    """Tell the others that this process ends by a mistake or an error, and end it. Alone, nothing happens."""
    if _watch is None:
        return
    _watch.tell(message, code)
    leave_at_once(code)


def leave() -> None:
    """Wait for the others, who come here too, and part. Alone, nothing happens."""
    global _current, _watch
    if _watch is None:
        return
    _current.meet("the end")
    _watch.stop()
    if _relay is not None:
        _relay.close()
    _watch, _current = None, Group()
    with contextlib.suppress(Exception):
        jax.distributed.shutdown()


def _at_exit() -> None:
    if _watch is None:
        return
    error = getattr(sys, "last_value", None)
    if isinstance(error, Abandoned):
        leave_at_once(error.code)
    if isinstance(error, Interrupted):
        leave()
    elif error is not None:
        failed(str(error) or type(error).__name__, AGAIN if isinstance(error, KeyboardInterrupt) else 1)
    else:
        leave()
