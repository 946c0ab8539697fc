"""Run directories made of files alone, what validates their checkpoints, and processes that do: no network."""

import hashlib
import json
import os
import time
from pathlib import Path

from jaxlab.core.types import UserError

CONFIG = {
    "type": "Experiment",
    "model": {"type": "ResNet", "depth": 18},
    "optimizer": {"type": "AdamW", "lr": 1e-3},
    "augment": [{"type": "Flip"}, {"type": "Shift", "pixels": 2}],
    "training": {"type": "Training", "epochs": 3, "early_stopping": None, "keep_every": None},
}


def fake_run(path: Path, steps: int = 12, config: dict | None = None, **info) -> Path:
    """A run directory without a checkpoint."""
    (path / "checkpoints").mkdir(parents=True)
    write(path / "run.json", {"schema": 1, "data": {"fingerprint": "ab" * 32}, **info})
    write(path / "config.json", {"schema": 1, "experiment": config or CONFIG})
    return path


def write(path: Path, data: dict) -> None:
    path.write_text(json.dumps(data))


def checkpoint(
    run: Path, step: int, *, steps: int = 12, best: dict | None = None, awaits: str | None = None
) -> Path:
    """A checkpoint without arrays: it takes its name when it is whole."""
    partial, folder = (run / "checkpoints" / f"{step}{end}" for end in (".partial", ""))
    partial.mkdir()
    meta = {
        "schema": 1,
        "step": step,
        "steps": steps,
        "epoch": -(-step // 4),
        "digest": digest(run, step),
        "leaves": {},
    }
    meta["progress"] = {"best": best, "stale": 0, "plateau": 0, "marks": {}}
    write(partial / "meta.json", meta | ({} if awaits is None else {"awaits": awaits}))
    sums = {"meta.json": hashlib.sha256((partial / "meta.json").read_bytes()).hexdigest()}
    write(partial / "manifest.json", {"schema": 1, "files": sums})
    partial.rename(folder)
    return folder


def digest(run: Path, step: int) -> str:
    return hashlib.sha256(f"{run.name} {step}".encode()).hexdigest()


def validated(run: Path, **scores: dict[str, float]) -> None:
    """Records of validations in metrics.jsonl, by `s4={"pearson": 0.1}`."""
    with (run / "metrics.jsonl").open("a") as file:
        for name, values in scores.items():
            step = int(name[1:])
            file.write(
                json.dumps({"step": step, "epoch": -(-step // 4), "split": "validation", **values}) + "\n"
            )


class FakeValidate:
    """Scores that follow from the step. log: a file that gets a line for each validation. damaged: steps that fail."""

    def __init__(self, log: Path, seconds: float = 0.0, damaged: tuple[int, ...] = ()):
        self.log, self.seconds, self.damaged = log, seconds, damaged

    def __call__(self, run: Path, step: int):
        meta = json.loads((run / "checkpoints" / str(step) / "meta.json").read_text())
        time.sleep(self.seconds)
        if step in self.damaged:
            raise UserError(f"checkpoint {step} is damaged")
        number = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(number, f"{run.name} {step} {os.getpid()}\n".encode())
        os.close(number)
        return meta, {"loss": 1 / step, "pearson": pearson(step)}


def pearson(step: int) -> float:
    """Highest at step 8."""
    return 0.9 - 0.01 * abs(step - 8)


def watch(folder: str, log: str, seconds: float, url: str = "") -> None:
    """`jaxlab evaluate --pending FOLDER --watch` with a validation that takes so long."""
    from jaxlab.runs.registry.place import Place, place_of
    from jaxlab.runs.registry.store import Registry
    from jaxlab.runs.registry.watch import Watcher

    place = Place(url) if url else place_of(Path(folder))
    Watcher(
        Registry(place),
        Path(folder),
        FakeValidate(Path(log), seconds),
        lambda line: print(line, flush=True),
        poll=0.05,
    ).run(watch=True)


def some_runs(folder: Path) -> Path:
    """One validated by its training, one that awaits validation, and a study of two folds of which one is begun."""
    here = fake_run(folder / "here")
    validated(
        here,
        s4={"loss": 0.5, "pearson": 0.3},
        s8={"loss": 0.4, "pearson": 0.7},
        s12={"loss": 0.6, "pearson": 0.2},
    )
    best = {"metric": "pearson", "value": 0.7, "step": 8, "epoch": 2}
    for step in (8, 10, 12):
        checkpoint(here, step, best=best)
    there = fake_run(folder / "there", config=CONFIG | {"model": {"type": "ViT", "size": "tiny"}})
    for step in (4, 8, 12):
        checkpoint(there, step, awaits="pearson")
    study = fake_run(folder / "study", config={"type": "Folds", "experiment": CONFIG, "folds": 2})
    checkpoint(fake_run(study / "fold0"), 4, best={"metric": "loss", "value": 1.0, "step": 4, "epoch": 1})
    return folder


def registry_of(folder: Path):
    """The registry of the runs in a folder, made of them."""
    from jaxlab.runs.registry.place import place_of
    from jaxlab.runs.registry.store import Registry
    from jaxlab.runs.registry.watch import note_directories

    registry = Registry(place_of(folder))
    note_directories(registry, folder)
    return registry
