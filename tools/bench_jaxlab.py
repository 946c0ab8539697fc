"""jaxlab's side of a step: the compiled train step and forward pass, as `jaxlab train` and `predict` run them.

Run by bench.py in a process of its own, with a case as JSON: model, size, batch, targets.
"""

import json
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench_process import serve, timed

from jaxlab.training import runtime

runtime.prepare()  # before JAX starts, as the command line does

import jax  # noqa: E402
import numpy as np  # noqa: E402

from jaxlab.core import tree  # noqa: E402
from jaxlab.core.rng import seed_words  # noqa: E402
from jaxlab.core.types import Samples  # noqa: E402
from jaxlab.data import Images, Opened, RandomSplit  # noqa: E402
from jaxlab.experiment import Experiment, Objective, Training  # noqa: E402
from jaxlab.experiment.inputs import Portion  # noqa: E402
from jaxlab.experiment.recipe import resolve  # noqa: E402
from jaxlab.heads import Head, Linear  # noqa: E402
from jaxlab.losses import CrossEntropy  # noqa: E402
from jaxlab.models import EfficientNet, Model, ResNet, ShallowCNN, ShuffleNetV2, ViT  # noqa: E402
from jaxlab.optim import AdamW  # noqa: E402
from jaxlab.training.step import prediction_step  # noqa: E402
from jaxlab.training.update import compiled, train_step  # noqa: E402

NETWORKS = {
    "resnet18": (ResNet(depth=18), Linear(layer="pool")),
    "resnet50": (ResNet(depth=50), Linear(layer="pool")),
    "efficientnet_lite0": (EfficientNet(variant="lite0"), Linear(layer="pool")),
    "vit_tiny": (ViT(size="tiny"), Linear(layer="cls")),
    "shufflenet_x1_0": (ShuffleNetV2(width=1.0), Linear(layer="pool")),
    "shallow_cnn": (  # as configs/shallow_cnn.py
        ShallowCNN(channels=(32, 64), kernel_sizes=(7, 3), dropout=0.2),
        Linear(layer="level2", dropout=0.5),
    ),
}


def experiment_of(case: dict[str, Any], network: tuple[Model, Head]) -> Experiment:
    """The case's experiment, without augmentation and EMA, which PyTorch's side does not have either."""
    model, head = network
    goals: dict[str, Any] = {"head": head}
    if case.get("classes"):
        label = Objective(head=head, loss=CrossEntropy())
        goals = {"objectives": {"activity": Objective(head=head), "label": label}}
    return Experiment(
        images=Images(size=(case["size"], case["size"])),
        split=RandomSplit(validation=0.5),
        model=model,
        **goals,
        optimizer=AdamW(lr=1e-4, sam=0.05 if case.get("step") == "sam" else None),
        training=Training(steps=1000, batch_size=case["batch"], **case.get("training", {})),
    )


def opened_of(case: dict[str, Any], batch: dict[str, Any]) -> Opened:
    """The batch twice, as a source would hand it over: once to learn from, once to validate on."""
    image = batch["image"]
    twice = {name: np.concatenate([values] * 2) for name, values in batch["truth"].items()}
    samples = Samples(
        ids=np.arange(len(twice["activity"])).astype(str),
        read=lambda position: image[position % len(image)],
        checksum=lambda position: b"",
        target=twice["activity"],
        label=twice.get("label"),
    )
    targets, classes = (
        tuple(f"n{k}" for k in range(count)) for count in (case["targets"], case.get("classes", 0))
    )
    return Opened(samples, None, "regression", targets, classes=classes)


@dataclass
class Steps:
    """A train step and a forward pass, compiled for all cores at the first call, and what they work on."""

    case: dict[str, Any]
    network: tuple[Model, Head] | None = None  # that of the case's name

    def __post_init__(self) -> None:
        case = self.case
        experiment = experiment_of(case, self.network or NETWORKS[case["model"]])
        self.layout = experiment.layout
        self.host_batch = _batch(case)
        self.batch = self.layout.put_batch(self.host_batch)
        recipe = resolve(experiment, opened_of(case, self.host_batch))
        program, (learning,) = recipe.program, recipe.phases
        ids = np.arange(case["batch"]).astype(str)
        learn = Portion(ids, self.host_batch["image"], self.host_batch["truth"])
        state = recipe.initial_state(learn, layout=self.layout)
        self.parameters = tree.count(state.params)
        self.state = self.layout.put(state)
        self.variables = self.layout.put(state.variables)
        self._step, self._seed = partial(train_step, program, learning), experiment.seed
        self._train = compiled(self._step, self.layout, self._seed, donate=0)
        self._predict = self.layout.compile(
            partial(prediction_step, program), batch_at=1, arguments=2, rows_out=True
        )

    def train(self, count: int) -> None:
        """So many updates on the same batch, which lies on the devices."""
        self.train_on([self.batch] * count)

    def train_on(self, batches: Any) -> None:
        """An update for each batch."""
        for batch in batches:
            self.state, self.reported = self._train(self.state, batch)
        jax.block_until_ready(self.state)

    def buffers(self) -> int:
        """Bytes that XLA takes for a train step beside the state and the batch; it is compiled, and not run."""
        step = self.layout.compile(self._step, batch_at=1, arguments=3, donate=0)
        compiled = step.lower(self.state, self.batch, self.layout.put(seed_words(self._seed))).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    def forward(self, count: int) -> None:
        """So many forward passes in evaluation mode."""
        for _ in range(count):
            outputs = self._predict(self.variables, self.batch)
        jax.block_until_ready(outputs)


def _batch(case: dict[str, Any]) -> dict[str, Any]:
    rng, rows = np.random.default_rng(0), case["batch"]
    shape = (rows, case["size"], case["size"], 3)
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    truth = {"activity": rng.standard_normal((rows, case["targets"]), dtype=np.float32)}
    if case.get("classes"):
        truth["label"] = np.arange(rows, dtype=np.int32) % case["classes"]
    return {"image": image, "truth": truth, "index": np.arange(rows, dtype=np.int32)}


def main() -> None:
    steps = Steps(json.loads(sys.argv[1]))
    actions = {"train": steps.train, "forward": steps.forward}
    first = {name: timed(partial(action, 1))["seconds"] for name, action in actions.items()}
    layout = f"{steps.layout.parallel} on {steps.layout.count} devices"
    serve(
        {"version": jax.__version__, "how": layout, "parameters": steps.parameters, "first_call": first},
        actions,
    )


if __name__ == "__main__":
    main()
