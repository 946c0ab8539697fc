"""Features on their way into a folder: computed batch by batch on all devices of a process, by one or several."""

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from jaxlab.core.progress import Bar
from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.encode.encoder import Loaded, Stimuli
from jaxlab.encode.pieces import Piece, Pieces
from jaxlab.encode.store import Folder, Layer, Rows
from jaxlab.training.display import ImagesPerSecond
from jaxlab.training.rundir import provenance
from jaxlab.training.sharding import Layout

CPU_ROWS, ROWS = 16, 64  # of a batch on each device


class Making:
    """What one process does so that a folder comes to hold what `encoder` makes of `stimuli`."""

    def __init__(self, encoder: Loaded, stimuli: Stimuli, folder: Folder, console: Console):
        self._encoder, self._stimuli, self._folder, self._console = encoder, stimuli, folder, console
        self._log = partial(console.print, highlight=False, markup=False, soft_wrap=True)
        self._helps = True
        self._met = False

    def all(self, missing: Sequence[Layer]) -> float:
        """Compute and store these layers, under the folder's lock; the seconds that it took."""
        start = time.perf_counter()
        for file in (self._folder.path / layer.file for layer in missing):
            if file.exists():
                self._log(f"{file}: is not as it was written; made anew")
        with _bar(self._console) as bar, Pieces(self._folder, missing) as pieces:
            task = bar.add_task("features", total=len(self._stimuli))

            def batches(done: int) -> Iterator[Rows]:
                bar.update(task, completed=done)
                for which, values in pieces.rows(done, partial(self._computed, missing)):
                    yield which, values
                    bar.advance(task, len(which))

            self._folder.fill(missing, self._stimuli.ids, self._about, batches)
            pieces.clear()
        seconds = time.perf_counter() - start
        names, others = examples(layer.name for layer in missing), ""
        if pieces.copied:
            others = f", {pieces.copied} of them by other processes,"
        self._log(
            f"features {names} of {len(self._stimuli)} samples{others} in {seconds:.1f} s: {self._folder.path}"
        )
        return seconds

    def help(self, missing: Sequence[Layer]) -> bool:
        """Make a piece of these layers, which another process makes; False where there is nothing to do but wait."""
        if not self._met:
            self._log(
                f"{self._folder.path}: another process makes these features; helping, then waiting for it"
            )
            self._met = True
        try:
            return self._helps and Pieces(self._folder, missing).help(partial(self._piece, missing))
        except (
            UserError
        ) as error:  # a disk without room for pieces; what else is wrong, the other one meets, too
            self._log(f"{error}; leaving them to the other process")
            self._helps = False
            return False

    def _piece(self, missing: Sequence[Layer], piece: Piece) -> None:
        layers = [piece.of(layer) for layer in missing]

        def batches(done: int) -> Iterator[Rows]:
            for which, values in self._computed(layers, piece.first + done, piece.stop):
                yield which - piece.first, values

        piece.folder.fill(layers, self._stimuli.ids[piece.first : piece.stop], self._about, batches)

    def _computed(self, layers: Sequence[Layer], first: int, stop: int) -> Generator[Rows, None, None]:
        names = [layer.name for layer in layers]
        return run(self._encoder, self._stimuli, names, first, stop, _usual_size())

    @cached_property
    def _about(self) -> dict[str, Any]:
        frozen = self._encoder.frozen
        return {
            "encoder": self._encoder.recipe,
            "digest": frozen.digest,
            "weights": frozen.weights,
            "data": self._stimuli.checksum,
            **provenance(),
        }


def _usual_size() -> int:
    return jax.local_device_count() * (CPU_ROWS if jax.default_backend() == "cpu" else ROWS)


def run(
    encoder: Loaded, stimuli: Stimuli, layers: Sequence[str], first: int, stop: int, size: int
) -> Generator[Rows, None, None]:
    """The layers' values of rows `first` to before `stop`, on all of this process's devices.

    While they compute a batch, the next one is made on the host.
    """
    layout = Layout("auto", size)
    compiled = encoder.program(tuple(layers), layout)
    variables = layout.put(encoder.frozen.variables)
    running: deque[tuple[np.ndarray, dict[str, jax.Array]]] = deque()

    def finished() -> Rows:
        which, outputs = running.popleft()
        host = jax.device_get(outputs)
        return which, {name: x.reshape(size, *encoder.shapes[name])[: len(which)] for name, x in host.items()}

    for which, batch in stimuli.batches(size, first, stop):
        running.append((which, compiled(variables, layout.put_batch(batch))))
        if len(running) > 1:
            yield finished()
    while running:
        yield finished()


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed}/{task.total}"),
        ImagesPerSecond(1),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    )
