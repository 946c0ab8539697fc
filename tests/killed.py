"""What sends itself a signal at a given moment, or may not let its files grow: for processes.Process."""

import os
import resource
import signal
from pathlib import Path


def train(
    arguments: list[str], moment: str = "", number: int = 0, sent: int = signal.SIGKILL, size_limit: int = -1
) -> None:
    """The command `jaxlab train`.

    moment: after step `number` has been read, at once ("step") or when checkpoints are on disk ("settled"), or in the
    middle of the "write" of checkpoint `number`, when its arrays are written and its manifest is not.
    size_limit: bytes that a file may have; -1: any.
    """
    import jax

    from jaxlab.cli.main import main
    from jaxlab.training import checkpoint, display

    # The next process runs the same programs; where a file may not grow, none is kept in part.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0 if size_limit == -1 else 1e9)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_limit, size_limit))
    read, write, save = display.TerminalDisplay.step, checkpoint._write_json, checkpoint.Checkpoints.save
    writers: list[checkpoint.Checkpoints] = []

    def at(place: str, step: int) -> None:
        if (place, step) == (moment, number):
            os.kill(os.getpid(), sent)

    def step(self, step: int, epoch: int, loss: float) -> None:
        read(self, step, epoch, loss)
        at("step", step)
        if (moment, number) == ("settled", step):
            writers[-1].wait()
        at("settled", step)

    def save_checkpoint(self, *arguments: object) -> None:
        writers.append(self)
        save(self, *arguments)

    def write_json(path: Path, data: object) -> None:
        if path.name == "manifest.json":
            at("write", int(path.parent.name.split(".")[0]))
        write(path, data)

    display.TerminalDisplay.step, checkpoint._write_json = step, write_json
    checkpoint.Checkpoints.save = save_checkpoint
    main(arguments)


def store_half() -> None:
    """core.store's "a", 100 x 3 of float32, killed when half of it is written."""
    import numpy as np

    from jaxlab.core.store import stored

    def fill(array: np.ndarray) -> None:
        array[:50] = 7
        os.kill(os.getpid(), signal.SIGKILL)

    stored("a", (100, 3), np.dtype(np.float32), fill)
