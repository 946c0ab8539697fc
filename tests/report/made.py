"""Run directories made of files alone, as training would leave them: nothing is compiled, no network is there."""

import hashlib
import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from tiny import task_of, tiny

from jaxlab.cli.main import main
from jaxlab.core.config import to_json
from jaxlab.data import Images, Normalize
from jaxlab.data.source import fingerprint
from jaxlab.losses import CrossEntropy
from jaxlab.training.notices import FILE, Notice, line
from jaxlab.training.rundir import RunDirectory
from submit import Predictions

STEPS, EPOCHS = 12, 3
HOSTILE = "</script><script>window.owned=1</script><img src=x onerror='window.owned=1'>"
CLASSES = ("none", HOSTILE, "$x_1$ & [b]", "thumb\x1b[31m")
N, T = 24, 6
NORMALIZE = Normalize(mean=(0.5,) * 3, std=(0.25,) * 3)


def arrays(path: Path, **parts: np.ndarray) -> Path:
    """An npz of 24 images of 8 x 8 with other parts."""
    n = len(next(iter(parts.values())))
    np.savez(path, images=np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), np.uint8), **parts)
    return path


def made_run(path: Path, root: Path, rows, values, scores, *settings: str, **parts) -> Path:
    """A run on the arrays at `root` that validated on `rows` and predicted `values` of them.

    scores: (EPOCHS,) of its headline.
    """
    experiment = tiny(root, *settings, **parts)
    opened = experiment.data.open()
    task = task_of(experiment, opened.targets, Images(size=(8, 8)), NORMALIZE)
    run = RunDirectory(path)
    info = {
        "task": task.to_json(),
        "weights": None,
        "data": {"fingerprint": fingerprint(opened)},
        "devices": {"platform": "cpu", "used": 1, "cores": 2},
        "python": "3.12.0",
        "versions": {"jax": "0.8.0"},
        "commit": "abc",
    }
    run.create(to_json(experiment), None, info)
    digest = checkpoint(run, STEPS, (int(np.argmax(scores)) + 1) * STEPS // EPOCHS)
    name = "accuracy" if isinstance(experiment.loss, CrossEntropy) else "pearson"
    run.metrics.write_text("".join(f"{json.dumps(record)}\n" for record in records(name, scores)))
    amiss = (Notice(step, 2, "units", 0.5, f"units of {HOSTILE} are dead", HOSTILE) for step in (4, 8))
    (path / FILE).write_text("".join(map(line, amiss)))
    kind = "logits" if name == "accuracy" else "regression"
    origin = {"digest": digest, "step": STEPS}
    names = np.array(opened.targets)
    found = Predictions(opened.train.ids[rows], values, names, kind, "validation", origin)
    found.save(run.predictions("validation"))
    (path / "profile").mkdir()
    spent = {
        "steps": 4,
        "wall": 0.25,
        "host": {"dispatch": 0.05},
        "device": {"loss": 0.1},
        "busy": 0.2,
        "devices": 2,
    }
    (path / "profile" / "summary.json").write_text(json.dumps(spent))
    return path


def checkpoint(run: RunDirectory, step: int, best_step: int) -> str:
    """Without arrays; its digest."""
    folder = run.checkpoints / str(step)
    folder.mkdir(parents=True)
    best = {"metric": "score", "value": 0.5, "step": best_step, "epoch": EPOCHS}
    meta = {"schema": 1, "step": step, "steps": step, "epoch": EPOCHS, "progress": {"best": best}}
    meta |= {"digest": "d" * 64, "leaves": {"params": {"head.kernel": [[4, 5], "float32"]}, "ema": {}}}
    text = json.dumps(meta)
    (folder / "meta.json").write_text(text)
    files = {"meta.json": hashlib.sha256(text.encode()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "files": files}))
    return meta["digest"]


def records(name: str, scores) -> list[dict]:
    """Of each step and epoch."""
    each = STEPS // EPOCHS
    found = []
    for step in range(1, STEPS + 1):
        epoch = (step - 1) // each + 1
        at = {"step": step, "epoch": epoch}
        values = {"loss": 2 / step, "learning_rate": 1e-3 * step, "gradient_norm": 1 + 1 / step}
        found.append({**at, "split": "step", **values})
        if step % each == 0:
            score = scores[epoch - 1]
            found += [
                {**at, "split": split, "loss": 1 / epoch, name: score} for split in ("train", "validation")
            ]
    return found


def invoke(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def pearson(a, b):
    with np.errstate(all="ignore"):
        return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T, strict=True)])
