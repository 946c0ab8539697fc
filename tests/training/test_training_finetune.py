"""Freezing in training: what stays, what it costs, phases over all layouts, and what a run says of it."""

import io
import json
from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from rich.console import Console
from tiny import parts_of, steps, tiny, trained_run

from jaxlab.cli.main import main
from jaxlab.core.rng import seed_words
from jaxlab.core.types import Mode, UserError
from jaxlab.experiment import Folds
from jaxlab.heads import Linear
from jaxlab.models import Model
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.optim import SGD, FineTune, Freeze
from jaxlab.runs import api
from jaxlab.training.step import evaluation_step
from jaxlab.training.update import train_step

PROBE = FineTune(rules=(Freeze(pattern=r"^backbone\."),))
LATER = FineTune(rules=(Freeze(pattern=r"^backbone\.", until_epoch=0.5),))  # two of an epoch's four steps
MODEL = ShallowCNN(channels=(4, 6, 8), kernel_sizes=(3, 3, 3))  # the head reads level2 of three


def changed(state, begun, field):
    """Paths of the leaves that training changed."""
    now, before = getattr(state, field), getattr(begun, field)
    return {path for path in now if not np.array_equal(now[path], before[path])}


@pytest.mark.slow
def test_what_is_frozen_stays_bit_for_bit_and_what_is_behind_the_head_too(arrays_npz):
    """AdamW, whose weight decay would move them, and the moving average."""
    finetune = FineTune(rules=(Freeze(through="level1"),))
    experiment = tiny(arrays_npz, "training.parallel=single", model=MODEL, finetune=finetune)
    (begun, _), (state, _) = (steps(experiment, count) for count in (0, 3))
    assert changed(state, begun, "params") == changed(state, begun, "ema") == {
        "backbone.levels.1.conv.kernel", "backbone.levels.1.norm.bias", "backbone.levels.1.norm.scale",
        "head.bias", "head.layers.level2.kernel",
    }  # fmt: skip
    assert changed(state, begun, "stats") == {f"backbone.levels.1.norm.{name}" for name in ("mean", "var")}


class Counting(nnx.Module):
    """Counts its training steps in a statistic of its own."""

    def __init__(self, rngs):
        self.kernel = nnx.Param(jnp.ones(1))
        self.seen = nnx.BatchStat(jnp.zeros(1))
        self.norm = nnx.BatchNorm(3, rngs=rngs)

    def __call__(self, x, mode):
        if mode.train:
            self.seen[...] = self.seen[...] + 1
        return {"pool": self.norm(x.mean((1, 2))) * self.kernel[...][None]}


@dataclass(frozen=True)
class CountingModel(Model):
    def build(self, in_channels, rngs):
        return Counting(rngs)


@pytest.mark.parametrize(
    ("finetune", "moved"),
    [
        (FineTune(), {"seen", "norm.mean", "norm.var"}),
        (FineTune(rules=(Freeze(pattern="kernel"),)), {"norm.mean", "norm.var"}),
        (PROBE, set()),
    ],
    ids=["trains", "kernel", "all"],
)
def test_statistics_of_a_frozen_module_stay_and_those_of_others_move(arrays_npz, finetune, moved):
    parts = {"finetune": finetune, "model": CountingModel(), "head": Linear()}
    program, (learning, *_), batches, state = parts_of(tiny(arrays_npz, "training.parallel=single", **parts))
    mode = Mode(train=True, row_keys=jax.random.split(jax.random.key(0), 8))
    images = batches[0]["image"].astype("float32")
    after = program.apply(state.variables, images, mode, learning.frozen_norms).stats
    assert {path for path, leaf in after.items() if not np.array_equal(leaf, state.stats[path])} == {
        f"backbone.{name}" for name in moved
    }


@pytest.mark.slow
@pytest.mark.parametrize("finetune", [PROBE, FineTune(statistics="frozen")], ids=["probe", "statistics"])
def test_held_batch_norms_use_their_running_statistics_in_training(arrays_npz, finetune):
    """The loss of a training step is then that of evaluation, on the same batch before the update."""
    parts = {"finetune": finetune, "model": replace(MODEL, dropout=0.0), "head": Linear(layer="level2")}
    experiment = tiny(arrays_npz, "training.parallel=single", "training.ema=none", augment=(), **parts)
    begun, _ = steps(experiment, 0)
    before, _ = steps(experiment, 2)
    after, reports = steps(experiment, 3)
    program, _, batches, _ = parts_of(experiment)
    sums = program.start()
    sums, _ = jax.jit(partial(evaluation_step, program))(before.variables, sums, batches[2])
    assert reports[2]["loss"] == pytest.approx(program.scores(sums)["loss"], rel=1e-5)
    assert changed(after, begun, "stats") == set()


def convolutions(experiment) -> tuple[int, int]:
    """In the compiled training step, and in the compiled evaluation step."""
    program, phases, batches, state = parts_of(experiment)
    batch = batches[0]
    sums = program.start()
    lowered = (
        jax.jit(partial(train_step, program, phases[0])).lower(state, batch, seed_words(0)),
        jax.jit(partial(evaluation_step, program)).lower(state.variables, sums, batch),
    )
    texts = [step.compile().as_text() for step in lowered]
    return tuple(text.count(" convolution(") + text.count("conv$") for text in texts)


@pytest.mark.slow
def test_a_frozen_backbone_costs_no_gradient_and_layers_behind_the_head_nothing(arrays_npz):
    settings = ("training.parallel=single", "training.ema=none")
    counts = {
        name: convolutions(tiny(arrays_npz, *settings, model=MODEL, finetune=finetune, augment=()))
        for name, finetune in (
            ("probe", PROBE),
            ("top", FineTune(rules=(Freeze(through="level1"),))),
            ("all", FineTune()),
        )
    }
    assert {evaluation for _, evaluation in counts.values()} == {2}  # of three levels, two lead to the head
    assert counts["probe"][0] == 2
    assert counts["top"][0] == 3  # and the gradient of one kernel
    assert counts["all"][0] == 5  # of two kernels and of the first level's output


@pytest.fixture(scope="module")
def later(arrays_npz):
    """parallel -> the state and reports of five steps, of which the backbone takes part in the last three."""
    made = {}

    def once(parallel, count=5):
        if (parallel, count) not in made:
            experiment = tiny(
                arrays_npz, f"training.parallel={parallel}", finetune=LATER, optimizer=SGD(lr=0.05)
            )
            made[parallel, count] = steps(experiment, count)
        return made[parallel, count]

    return once


@pytest.mark.slow
def test_a_probe_is_followed_by_fine_tuning(later):
    (begun, _), (probed, _), (tuned, _) = (later("single", count) for count in (0, 2, 5))
    assert changed(probed, begun, "params") == {path for path in begun.params if path.startswith("head")}
    assert changed(probed, begun, "stats") == set()
    assert changed(tuned, probed, "params") == set(begun.params)
    assert changed(tuned, probed, "stats") == set(begun.stats)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["pmap", "data"])
def test_phases_are_the_same_over_all_layouts(later, parallel):
    """The tolerance of test_training_parallel, for the same reason."""
    (begun, _), (one, expected), (state, reports) = later("single", 0), later("single"), later(parallel)
    for field in ("params", "stats", "ema"):
        mine, theirs, first = (getattr(s, field) for s in (state, one, begun))
        apart = max(
            float(np.abs(mine[k] - theirs[k]).max() / np.abs(theirs[k] - first[k]).max()) for k in first
        )
        assert apart < 2e-5, field
    for found, single in zip(reports, expected, strict=True):
        assert found == pytest.approx(single, rel=2e-5)


@pytest.mark.slow
def test_a_run_says_and_records_what_trains(arrays_npz, tmp_path):
    out = io.StringIO()
    experiment = tiny(arrays_npz, "training.epochs=1", finetune=LATER, model=MODEL)
    run = api.train(experiment, tmp_path / "run", console=Console(file=out, width=80))
    sizes = {"level1": 27 * 4 + 8, "level2": 36 * 6 + 12, "level3": 54 * 8 + 16, "head": 96 * 5 + 5}
    total = sum(sizes.values())
    assert (
        f"trains {sizes['head']} of {total:,} parameters; 344 more after epoch 0.5; the head reads nothing of 448"
        in out.getvalue()
    )
    assert "epoch 1: level1, level2 (344 parameters) train from here" in out.getvalue()
    shown = CliRunner().invoke(main, ["inspect", str(run)])
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    assert "level1 .. level2 344 0.01 after epoch 0.5 trains" in lines
    assert "level3 448 - never: not read frozen" in lines
    assert "readout 485 0.01 yes -" in lines
    assert max(map(len, shown.stdout.splitlines())) <= 80
    report = json.loads(CliRunner().invoke(main, ["inspect", str(run), "--json"]).stdout)
    assert [entry["layer"] for entry in report["run"]["finetune"]] == [
        "level1",
        "level2",
        "level3",
        "readout",
    ]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (
            (Freeze(pattern="layer9"),),
            "rules.0, Freeze.*matches none of the 8 parameters, such as backbone.levels",
        ),
        ((Freeze(through="pol"),), "names no layer of the model, which has level1, level2, pool"),
        ((Freeze(through="pool", until_epoch=3),), "lasts as long as the run, which has 3 epochs"),
        ((Freeze(pattern=""),), "nothing trains"),
    ],
)
def test_mistakes_are_told_before_an_image_is_decoded(arrays_npz, tmp_path, monkeypatch, rules, words):
    monkeypatch.setattr("jaxlab.experiment.inputs.decode_splits", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr("jaxlab.experiment.recipe.initial_parameters", lambda *_: pytest.fail("compiled"))
    with pytest.raises(UserError, match=words):
        trained_run(arrays_npz, tmp_path / "run", finetune=FineTune(rules=rules))


@pytest.mark.slow
def test_smoke_goes_through_the_phases(arrays_npz, tmp_path):
    out = io.StringIO()
    experiment = tiny(arrays_npz, finetune=FineTune(rules=(Freeze(through="pool", until_epoch=2),)))
    api.train(experiment.smoke(), tmp_path / "run", console=Console(file=out, width=200))
    assert "level1, level2 (344 parameters) train from here" in out.getvalue()


def test_runs_that_differ_in_their_seed_or_fold_share_a_program(arrays_npz):
    """So that what one has compiled serves the others."""

    def program_of(experiment):
        program, phases, batches, state = parts_of(experiment)
        step = jax.jit(partial(train_step, program, phases[0]))
        return step.lower(state, batches[0], seed_words(experiment.seed)).as_text()

    plain = tiny(arrays_npz, "training.parallel=single")
    folds = Folds(experiment=plain, folds=4)
    assert program_of(plain) == program_of(replace(plain, seed=1))
    assert program_of(folds.fold(0)) == program_of(replace(folds.fold(3), seed=1))
