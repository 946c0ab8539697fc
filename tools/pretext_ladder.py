"""What pretraining without labels is worth: a small network from scratch against the encoder of each pretext task.

    python tools/pretext_ladder.py OUT --data FOLDER --labels 50 200 1000 --seeds 5
    python tools/pretext_ladder.py OUT --data mnist --labels 50 200 1000 --seeds 5

FOLDER: a Kaggle folder with solution.csv. mnist: 5,000 digits, of which 1,000 are for testing.

Each task's encoder is trained once, on all training images without their labels (OUT/pretext/TASK); test images are
never seen. Then, for each number of labels, a study of seeds goes on from it (OUT/LABELS/WAY/TASK): tuned as a whole,
or frozen below a linear readout. A seed draws which images have labels, first parameters of the readout, and order,
the same for all tasks, so that differences are paired. Nothing was chosen by test images, and the last checkpoint
predicts. Intervals are over seeds, at 95 %; they do not have the chance in the pretext training itself, of which there
is one. Started again, it trains what is missing.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import jaxlab
import submit
from jaxlab.core.config import load_file
from jaxlab.core.intervals import interval, paired
from jaxlab.data import Arrays, Flip, Images, KaggleTable, Mnist, RandomSplit, Source, Unlabelled
from jaxlab.evaluate.scores import scores_of
from jaxlab.experiment import Experiment, Seeds, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine, FineTune, Freeze

CONFIGS = Path(__file__).parents[1] / "configs"
TASKS = ("rotation", "jigsaw", "masked", "autoencoder", "contrast")
SCRATCH = "scratch"
FROZEN = FineTune(rules=(Freeze(pattern=r"^backbone\."),))
WAYS = {"tuned": FineTune(), "frozen": FROZEN}
MODEL = ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3))
SEEN = 36_000  # images in a pretext training: about two minutes on two cores
TESTED = 1000  # digits


class Data:
    """A source with its test truth in the order of `ids`, what images are brought to, and the score."""

    def __init__(self, given: str, out: Path):
        if given == "mnist":
            self.source: Source = Arrays(root=str(_digits(out)))
            self.images = Images(size=(32, 32), channels=1, filter="bilinear")
            self.truth, self.score = np.load(out / "mnist.truth.npy"), "accuracy"
            return
        self.source = KaggleTable(root=given)
        self.images = Images(size=(56, 56))
        solution = submit.Predictions.load(Path(given) / "solution.csv")
        order = {name: row for row, name in enumerate(solution.ids.tolist())}
        ids = self.source.open_test()[0].ids.tolist()
        self.truth, self.score = solution.values[[order[name] for name in ids]], "pearson"

    @property
    def labelled(self) -> dict[str, Any]:
        """The fields of an experiment on its labels."""
        classes = self.score == "accuracy"
        return {"data": self.source, "images": self.images, "loss": CrossEntropy() if classes else Mse()}


def _digits(out: Path) -> Path:
    """The digits as arrays, without the labels of those for testing."""
    path = out / "mnist.npz"
    if not path.is_file():
        opened = Mnist().open().train
        order = np.random.default_rng(0).permutation(len(opened))
        images = np.stack([opened.read(row) for row in order.tolist()])
        labels = opened.label[order]
        np.save(out / "mnist.truth.npy", labels[:TESTED])
        np.savez(path, images=images[TESTED:], labels=labels[TESTED:], test_images=images[:TESTED])
    return path


def pretext(task: str, data: Data, seen: int) -> Experiment:
    """The task's config on these images, without their labels, for about `seen` of them."""
    config: Any = load_file(CONFIGS / f"pretext_{task}.py")
    source = Unlabelled(data=data.source)
    count = len(source.open().train)
    digits = data.score == "accuracy"  # of which there is no mirror image
    augment = tuple(one for one in config.augment if not (digits and isinstance(one, Flip)))
    training = replace(config.training, epochs=max(round(seen / count), 1))
    return replace(config, data=source, images=data.images, augment=augment, model=MODEL, training=training)


def labelled(data: Data, labels: int, way: str, encoder: Path | None) -> Experiment:
    """A network on so many labelled images, from an encoder or from scratch."""
    batch = min(max(labels // 10, 10), 50)
    return Experiment(
        **data.labelled,
        split=RandomSplit(validation=0.1),
        limit=labels,
        model=replace(MODEL, pretrained=None if encoder is None else str(encoder)),
        head=Linear(layer="level3", dropout=0.5),
        optimizer=AdamW(lr=2e-3, weight_decay=0.1, schedule=Cosine(warmup_epochs=2)),
        finetune=WAYS[way],
        training=Training(epochs=40 if labels < 500 else 20, batch_size=batch),
    )


def scores(study: Path, data: Data) -> list[float]:
    """Of the test images, one a seed."""
    runs = [jaxlab.load(path) for path in sorted(study.glob("seed*"))]
    return [scores_of(run.predict_split("test", "last").values, data.truth)[data.score] for run in runs]


def studies(out: Path, data: Data, given: argparse.Namespace) -> Iterator[tuple[int, str, str, list[float]]]:
    """(labels, way, task, scores), each trained where it is missing; from scratch first of each way."""
    encoders: dict[str, Path | None] = {SCRATCH: None}
    for task in given.tasks:
        encoders[task] = jaxlab.train(pretext(task, data, given.seen), out / "pretext" / task, name=task)
    for labels in given.labels:
        for way in WAYS:
            for task, encoder in encoders.items():
                study = out / str(labels) / way / task
                experiment = labelled(data, labels, way, encoder)
                seeds = Seeds(experiment=experiment, seeds=given.seeds, vary=("split.seed",))
                jaxlab.train(seeds, study, name=f"{task}, {way}, {labels} labels")
                yield labels, way, task, scores(study, data)


def verdict(low: float, high: float) -> str:
    return "helps" if low > 0 else "harms" if high < 0 else "no difference seen"


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", required=True, help="A Kaggle folder with solution.csv, or mnist.")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument(
        "--seen", type=int, default=SEEN, help="Images in a pretext training, repeats counted."
    )
    given = parser.parse_args()
    jaxlab.prepare()
    given.out.mkdir(parents=True, exist_ok=True)
    data = Data(given.data, given.out)
    lines = [
        f"| labels | way | from | {data.score} of test images | minus scratch, paired | |",
        "|---|---|---|---|---|---|",
    ]
    before: list[float] = []
    for labels, way, task, found in studies(given.out, data, given):
        one = interval(found)
        cells = [str(labels), way, task, f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"]
        if task == SCRATCH:
            before = found
            cells += ["", ""]
        else:
            apart = paired(found, before)
            cells += [
                f"{apart.mean:+.3f} [{apart.low:+.3f}, {apart.high:+.3f}]",
                verdict(apart.low, apart.high),
            ]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    (given.out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(["", *lines]))


if __name__ == "__main__":
    main()
