"""`jaxlab train` that sends itself a signal at a given moment, or whose files may not grow: for processes.Process."""

import os
import resource
from pathlib import Path


def train(arguments: list[str], moment: str, number: int, sent: int, size_limit: int) -> None:
    """The command. moment: after step `number` has been "read", or in the middle of the "write" of checkpoint `number`,
    when its arrays are written and its manifest is not. size_limit: bytes that a file may have; -1: any.
    """
    from jaxlab.cli.main import main
    from jaxlab.training import checkpoint, display

    resource.setrlimit(resource.RLIMIT_FSIZE, (size_limit, size_limit))
    read, write = display.TerminalDisplay.step, checkpoint._write_json

    def at(place: str, step: int) -> None:
        if (place, step) == (moment, number):
            os.kill(os.getpid(), sent)

    def step(self, step: int, epoch: int, loss: float) -> None:
        read(self, step, epoch, loss)
        at("step", step)

    def write_json(path: Path, data: object) -> None:
        if path.name == "manifest.json":
            at("write", int(path.parent.name.split(".")[0]))
        write(path, data)

    display.TerminalDisplay.step, checkpoint._write_json = step, write_json
    main(arguments)
