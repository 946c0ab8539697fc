"""What the environment says of several processes: what `--coordinator auto` would take. Nobody else is asked.

JAX itself detects clusters; of those that only answer over the network (TPU VMs, Kubernetes) it is said that there is
one, and of those that are there in part, what is missing.
"""

import inspect
import os
from typing import Any

from jaxlab.training.hosts.join import VARIABLES

# Of those that variables alone tell all of, by JAX's names.
_OF_ENVIRONMENT = {"slurm": "Slurm", "ompi": "Open MPI"}


def described() -> str:
    """One sentence, with what to do where something is missing."""
    own = [f"{name}={os.environ[name]}" for name in VARIABLES if os.environ.get(name)]
    if own:
        return f"as the environment says: {', '.join(own)}"
    for found in (_detected, _in_part, _over_the_network):
        if said := found():
            return said
    return "this one alone; --coordinator auto would find no launcher here"


def _detected() -> str | None:
    from jax._src.clusters import ClusterEnv

    for kind in ClusterEnv._cluster_types:
        name = _OF_ENVIRONMENT.get(getattr(kind, "name", ""))
        if name is not None and not kind.opt_in_only_method and kind.is_env_present():
            return _told(name, kind)
    return None


def _told(name: str, kind: Any) -> str | None:
    """None where a variable is missing, as outside of a step: older versions of JAX take that for Slurm, too."""
    try:
        address = _address(kind)
        which, count = kind.get_process_id(), kind.get_process_count()
    except KeyError:
        return None
    except (RuntimeError, ValueError) as error:
        return f"{name}, but not as JAX reads it ({error}); give --coordinator HOST:PORT --processes N --process I"
    return f"{name}: process {which} of {count}, coordinator {address}; --coordinator auto takes that"


def _address(kind: Any) -> str:
    """The coordinator's, at the port of the environment where this JAX asks for one; older ones do not."""
    if "override_coordinator_port" in inspect.signature(kind.get_coordinator_address).parameters:
        return str(kind.get_coordinator_address(None, os.environ.get("JAX_COORDINATOR_PORT")))
    return str(kind.get_coordinator_address(None))


def _in_part() -> str | None:
    """Launchers that JAX would not recognise as they are here."""
    env = os.environ
    if "SLURM_JOB_ID" in env:
        return f"Slurm's job {env['SLURM_JOB_ID']}, but no step of it: `srun jaxlab ... --coordinator auto` starts one"
    if "OMPI_COMM_WORLD_SIZE" in env:
        return (
            f"Open MPI: process {env.get('OMPI_COMM_WORLD_RANK')} of {env['OMPI_COMM_WORLD_SIZE']}, of a version whose "
            "launcher JAX does not find: --coordinator HOST:PORT --processes $OMPI_COMM_WORLD_SIZE --process "
            "$OMPI_COMM_WORLD_RANK"
        )
    return None


def _over_the_network() -> str | None:
    env = os.environ
    if workers := env.get("TPU_PROCESS_ADDRESSES") or env.get("TPU_WORKER_HOSTNAMES"):
        count = len(workers.split(","))
        return (
            f"a TPU slice: worker {env.get('TPU_WORKER_ID', '?')} of {count}; --coordinator auto takes that"
        )
    if _on_a_tpu_machine():
        return "a TPU machine: --coordinator auto asks its metadata server how many workers there are"
    if "KUBERNETES_SERVICE_HOST" in env:
        return _in_kubernetes()
    return None


def _in_kubernetes() -> str:
    from importlib.util import find_spec

    if find_spec("kubernetes") is None:
        return "a Kubernetes pod; for --coordinator auto, pip install kubernetes"
    return "a Kubernetes pod: --coordinator auto asks for the other pods of its job"


def _on_a_tpu_machine() -> bool:
    from jax._src import cloud_tpu_init

    return bool(cloud_tpu_init.running_in_cloud_tpu_vm)
