"""A store of features that is filled, held or left by a process of its own: for processes.Process."""

import os
import signal
import time
from pathlib import Path

from encoding import encoder, pixels, samples

from jaxlab.encode import features, load_all, pieces, store


def until(file: Path, dies_at: int) -> None:
    """Features of 400 images, in pieces of 64, each batch recorded at once and said.

    Killed when `dies_at` rows are, -1: never.
    """
    record = store.Folder._record

    def recorded(self, arrays, progress, done):
        record(self, arrays, progress, done)
        print("done", done, flush=True)
        if done == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    store.FLUSH_SECONDS, store.Folder._record, pieces.ROWS = 0.0, recorded, 64
    features(load_all((encoder(file, "level1", "fc2"),)), samples(pixels(400)))


def hold(seconds: float) -> None:
    """The lock of the folder "key", and says so."""
    with store.Folder("key").locked():
        print("held", flush=True)
        time.sleep(seconds)
