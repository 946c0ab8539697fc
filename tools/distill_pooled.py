"""One small network learns from a pooled ensemble what it predicts for images that nobody has responded to.

    python tools/distill_pooled.py OUT FOLDER --teacher RUN [--teacher RUN ...] [--images IMAGES] [--count 20000]

FOLDER holds Kaggle folders, a session each, and a teacher is a run of such data (configs/pooled.py, a ridge regression
of Pooled, folds or seeds of one); of several the mean teaches. IMAGES is a folder of images; without it, COUNT crops of
the sessions' training images are made, each of 60 to 100 % of the side, mirrored half of the time, in black and white
where its image is. None is of a test image of any session. The small network learns once from the responses alone and
once from the teacher alone, by the same recipe, and is scored beside the teacher on each session that has a
solution.csv; OUT has each one's predictions by session. Started again, it makes what is missing. How Cowley et al.
(2023) came to networks that are thousands of times smaller than their ensemble, with millions of images.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image

import jaxlab
from jaxlab.core.subjects import subjects_in, without_subject
from jaxlab.data import Images, ImageTree, Pooled, Shift
from jaxlab.experiment import Experiment, Objective, Training
from jaxlab.heads import Factorized, PerSubject
from jaxlab.models import ShallowCNN
from jaxlab.objectives import Teacher
from jaxlab.optim import AdamW, Cosine
from submit import Predictions
from submit.cli.tables import show_compared
from submit.scores.compare import compare

BLOCK = 2000  # images that are predicted at a time


def untested(sessions: list[Path]) -> list[Path]:
    """The training images of all sessions that no session has to predict, under whatever name."""

    def images(split: str) -> list[Path]:
        return [file for session in sessions for file in sorted((session / split).iterdir())]

    tests = {checksum(file) for file in images("test")}
    return [file for file in images("train") if checksum(file) not in tests]


def checksum(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def crops(sessions: list[Path], count: int, out: Path, seed: int = 0) -> Path:
    """`count` of the training images, which come in turn, as PNG."""
    files = untested(sessions)
    out.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        path = out / f"{k:06d}.png"
        if path.exists():
            continue
        rng = np.random.default_rng([seed, k])
        image = Image.open(files[rng.integers(len(files))])
        side = int(min(image.size) * rng.uniform(0.6, 1.0))
        left, top = (int(rng.integers(0, size - side + 1)) for size in image.size)
        crop = image.crop((left, top, left + side, top + side)).resize(image.size, Image.Resampling.BICUBIC)
        if rng.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        part = path.with_suffix(".partial")
        crop.save(part, "PNG")
        part.replace(path)
    return out


def taught(teachers: list[Path], images: Path, out: Path) -> Path:
    """The mean of what teachers predict for a folder of images, named as `ImageTree` names these.

    It is made anew where it is of other teachers, checkpoints or images.
    """
    runs = [jaxlab.load(path) for path in teachers]
    if wrong := [str(run.rundir.path) for run in runs if run.targets != runs[0].targets]:
        raise click.UsageError(f"expected teachers of the same targets, found others in {', '.join(wrong)}")
    files = ImageTree(root=str(images)).open().train.ids
    digests = [[one.checkpoint(run.usual).meta()["digest"] for one in run.members] for run in runs]
    if out.exists() and is_of(Predictions.load(out), digests, files):
        return out
    blocks = [files[start : start + BLOCK] for start in range(0, len(files), BLOCK)]
    values = [
        np.mean([run.predict([images / name for name in block.tolist()]) for run in runs], 0, np.float64)
        for block in blocks
    ]
    mean = np.concatenate(values).astype(np.float32)
    made = Predictions(files, mean, np.array(runs[0].targets), "regression", "images", {"teachers": digests})
    made.save(out)
    return out


def is_of(made: Predictions, digests: list[list[str]], files: np.ndarray) -> bool:
    """Whether predictions are of checkpoints and images."""
    return made.provenance.get("teachers") == digests and made.ids.tolist() == files.tolist()


def small(size: int, epochs: float) -> Experiment:
    """Three layers, 100 channels each."""
    return Experiment(
        images=Images(size=(size, size)),
        augment=(Shift(pixels=2),),
        model=ShallowCNN(channels=(64, 100, 100), kernel_sizes=(7, 5, 3)),
        head=PerSubject(head=Factorized(layer=("level2", "level3"), dropout=0.2)),
        optimizer=AdamW(lr=2e-3, weight_decay=0.1, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
        training=Training(epochs=epochs, batch_size=64, ema=0.99),
    )


def variants(folder: Path, images: Path, teacher: Path, size: int, updates: int) -> dict[str, Experiment]:
    """The same network for as many updates: from responses, and from what the teacher says of other images."""
    of = Teacher(predictions=str(teacher))
    base = small(size, 1)
    steps = replace(base.training, epochs=None, steps=updates)
    told = {"responses": Objective(of=of, head=base.head)}
    plain = replace(base, head=Experiment().head, data=ImageTree(root=str(images)), objectives=told)
    return {
        "from responses": replace(base, data=Pooled(root=str(folder)), training=steps),
        "from the teacher": replace(plain, training=steps),
    }


def by_session(run: Any, session: Path, name: str, out: Path) -> Path:
    """The predictions of one session's test images, with its own names."""
    columns = subjects_in(run.targets)[name]
    files = sorted((session / "test").iterdir())
    values = run.predict(files)[:, columns]
    ids = np.array([file.stem for file in files])
    out.parent.mkdir(parents=True, exist_ok=True)
    Predictions(ids, values, np.array([without_subject(run.targets[k]) for k in columns]), "regression").save(
        out
    )
    return out


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--teacher", "teachers", multiple=True, required=True, type=click.Path(path_type=Path, exists=True)
)
@click.option("--images", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--count", default=20_000, show_default=True, help="Crops, where no images are given.")
@click.option("--updates", default=6000, show_default=True)
@click.option("--size", default=112, show_default=True, help="Pixels of the small network's images.")
def main(
    out: Path,
    folder: Path,
    teachers: tuple[Path, ...],
    images: Path | None,
    count: int,
    updates: int,
    size: int,
) -> None:
    """Train what is missing and print a table for each session."""
    jaxlab.prepare()
    sessions = [path for path in sorted(folder.iterdir()) if (path / "train.csv").is_file()]
    shown = images or crops(sessions, count, out / f"crops{count}-untested")
    teacher = taught(list(teachers), shown, out / "teacher.npz")
    runs = {
        name: jaxlab.train(experiment, out / name.replace(" ", "_"), name=name)
        for name, experiment in variants(folder, shown, teacher, size, updates).items()
    }
    for session in sessions:
        if not (session / "solution.csv").is_file():
            continue
        each = {**runs, **{f"teacher {k}": path for k, path in enumerate(teachers)}}
        files = [
            by_session(
                jaxlab.load(run), session, session.name, out / session.name / f"{name.replace(' ', '_')}.npz"
            )
            for name, run in each.items()
        ]
        show_compared(compare(files, session / "solution.csv"))


if __name__ == "__main__":
    main()
