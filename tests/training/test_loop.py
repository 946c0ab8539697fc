"""The loop with a step that needs no network: order, records, best, patience, plateau, and what is not finite."""

import io
import json
import signal
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rich.console import Console

from jaxlab.core.types import UserError
from jaxlab.metrics import AnswerSums, ClassificationSums, RegressionSums
from jaxlab.training import journal
from jaxlab.training.checkpoint import Checkpoints, saved
from jaxlab.training.display import TerminalDisplay
from jaxlab.training.loop import Fit, Phase
from jaxlab.training.plan import Plan, Progress
from jaxlab.training.state import TrainState

PLAN = Plan(steps=12, steps_per_epoch=4, metric="pearson")
NAN = np.nan


def begun() -> TrainState:
    return TrainState(
        step=jnp.zeros((), jnp.int32), params={"w": jnp.zeros(2)}, stats={}, constants={}, opt_state=(), ema=None,
        rate_scale=jnp.ones(()), sums={"activity": RegressionSums.start(1)},
    )  # fmt: skip


class Losses:
    """A step whose loss and gradient norm at each update are given; w counts the updates."""

    def __init__(self, loss=None, norm=None, params=None):
        self.loss, self.norm, self.params = loss or {}, norm or {}, params or {}

    def __call__(self, state, batch):
        step = int(state.step) + 1
        w = state.params["w"] + self.params.get(step, 1.0)
        reported = {
            "loss": jnp.asarray(self.loss.get(step, 1.0 / step)),
            "gradient_norm": jnp.asarray(self.norm.get(step, 1.0)),
            "learning_rate": 0.1 * state.rate_scale,
        }
        return replace(state, step=state.step + 1, params={"w": w}), reported


def fitted(
    folder,
    plan=PLAN,
    step=None,
    validation=(0.1, 0.2, 0.3),
    state=None,
    progress=None,
    phases=None,
    losses=None,
    keep_every=1,
    **more,
):
    """Run the loop in `folder`; validation and losses hold those of each epoch. Returns its Fit, state and output."""
    folder.mkdir(exist_ok=True)
    state = begun() if state is None else state
    scores, each_loss = iter(validation), iter(losses or [0.5] * 99)
    out = io.StringIO()
    fit = Fit(
        plan=plan,
        phases=phases or [Phase(0, step or Losses())],
        batches=lambda first: iter(range(first, 10**6)),
        **{"evaluate": lambda variables: {"loss": next(each_loss), "pearson": next(scores)}, **more},
        no_sums=lambda: {"activity": RegressionSums.start(1)},
        scores=lambda sums: sums["activity"].compute(),
        batch_ids=lambda k: [f"id-{k}-{row}" for row in range(20)],
        journal=journal.Journal(folder, int(state.step)),
        checkpoints=Checkpoints(folder / "checkpoints", keep_every=keep_every),
        display=TerminalDisplay(Console(file=out, width=200), plan.steps, 0, 8),
        progress=progress or Progress(),
    )
    try:
        with jax.debug_nans(False):
            state = fit.run(state)
    finally:
        fit.output = out.getvalue()
    return fit, state


def test_a_signal_in_the_last_step_is_not_forgotten(tmp_path):
    """Folds that follow must not begin, though this run has nothing left to go on with."""

    class Signalled(Losses):
        def __call__(self, state, batch):
            if int(state.step) == 11:
                signal.raise_signal(signal.SIGTERM)
            return super().__call__(state, batch)

    fit, state = fitted(tmp_path, step=Signalled())
    assert fit.interrupted
    assert int(state.step) == 12
    assert "stopped at step 12, after which training ends" in fit.output
    assert "goes on" not in fit.output
    assert saved(tmp_path / "checkpoints")[-1].step == 12


def test_a_judge_ends_a_run_at_an_epoch_with_a_checkpoint_from_which_it_goes_on(tmp_path):
    asked = []

    def judge(epoch, validation):
        asked.append((epoch, validation["pearson"]))
        return "others are better" if epoch == 2 else None

    fit, state = fitted(tmp_path, judge=judge)
    assert asked == [(1, 0.1), (2, 0.2)], "of the last epoch there is nothing to decide"
    assert saved(tmp_path / "checkpoints")[-1].step == int(state.step) == 8
    assert "given up at step 8 of 12: others are better; training goes on from there" in fit.output
    _, state = fitted(tmp_path, state=state, progress=fit.progress, validation=(0.3,), judge=judge)
    assert int(state.step) == 12
    assert [r["step"] for r in records(tmp_path, "step")] == list(range(1, 13))


def records(folder, split):
    return journal.read(folder / "metrics.jsonl", split)


def test_every_step_and_epoch_is_recorded_and_saved_at_epochs_ends(tmp_path):
    fit, state = fitted(tmp_path)
    assert int(state.step) == 12
    steps = records(tmp_path, "step")
    assert [(r["step"], r["epoch"]) for r in steps] == [(k, (k - 1) // 4 + 1) for k in range(1, 13)]
    assert [r["loss"] for r in steps] == pytest.approx([1 / k for k in range(1, 13)])
    assert [(r["step"], r["epoch"]) for r in records(tmp_path, "train")] == [(4, 1), (8, 2), (12, 3)]
    assert [r["pearson"] for r in records(tmp_path, "validation")] == [0.1, 0.2, 0.3]
    assert [c.step for c in saved(tmp_path / "checkpoints")] == [4, 8, 12]
    assert fit.progress.best == {"metric": "pearson", "value": 0.3, "step": 12, "epoch": 3}
    assert list((tmp_path / "events").iterdir())


def test_checkpoints_within_epochs_and_at_a_run_that_ends_within_one(tmp_path):
    fitted(tmp_path, replace(PLAN, steps=10, checkpoint_steps=3))
    assert [c.step for c in saved(tmp_path / "checkpoints")] == [3, 4, 6, 8, 9, 10]
    assert [r["step"] for r in records(tmp_path, "validation")] == [4, 8, 10]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_with_step_and_samples(nans_allowed, tmp_path, value):
    with pytest.raises(UserError) as stopped:
        fitted(tmp_path, step=Losses(loss={6: value}, params={6: np.nan}))
    text = str(stopped.value)
    assert f"the loss is {value}" in text
    assert "at step 6 (epoch 2)" in text
    assert "id-5-0, id-5-1" in text  # batch k makes update k + 1
    assert "and 4 more" in text
    assert [c.step for c in saved(tmp_path / "checkpoints")] == [4]
    assert records(tmp_path, "step")[-1]["step"] == 6


@pytest.mark.parametrize("step", [4, 6])
def test_a_gradient_that_is_not_a_number_behind_a_finite_loss_stops_too(nans_allowed, tmp_path, step):
    with pytest.raises(UserError, match=rf"gradient's norm nan at step {step} "):
        fitted(tmp_path, step=Losses(norm={step: np.nan}, params={step: np.nan}))
    assert [c.step for c in saved(tmp_path / "checkpoints")] == ([4] if step > 4 else [])


def test_no_checkpoint_holds_parameters_that_are_not_finite(tmp_path):
    with pytest.raises(UserError, match=r"w became infinite or NaN at step 8 "):
        fitted(tmp_path, step=Losses(params={8: np.inf}))
    assert [c.step for c in saved(tmp_path / "checkpoints")] == [4]


def test_early_stop(tmp_path):
    fit, state = fitted(tmp_path, replace(PLAN, steps=40, patience=2), validation=[0.3, 0.2, 0.1, 0.4])
    assert int(state.step) == 12
    assert "early stop: 2 epochs without a better pearson" in fit.output
    assert fit.progress.best["step"] == 4
    assert fit.plan.gives_up(fit.progress)


def test_plateau_lowers_the_rate_after_more_than_its_patience(tmp_path):
    """As torch's ReduceLROnPlateau with patience=1: the second bad epoch in a row lowers it."""
    plan = replace(PLAN, steps=32, plateau=(0.5, 1))
    fit, state = fitted(tmp_path, plan, validation=[0.3, 0.2, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1])
    rates = [r["learning_rate"] for r in records(tmp_path, "step")][::4]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025])
    assert float(state.rate_scale) == 0.25
    assert fit.output.count("plateau, the learning rate is multiplied by 0.5") == 2


@pytest.mark.parametrize("patience", [0, 1])
def test_plateaus_are_those_of_optax(tmp_path, patience):
    """Its patience counts the epoch of the drop, its scores fall, and any gain must count as one."""
    scores = (np.random.default_rng(patience).integers(0, 8, 12) / 8).tolist()  # equal ones too
    transform = optax.contrib.reduce_on_plateau(0.5, patience + 1, rtol=0.0, atol=1e-30)
    state, scales, update = transform.init(jnp.zeros(())), [], jax.jit(transform.update)
    for score in scores:
        _, state = update(jnp.zeros(()), state, value=-score)
        scales.append(float(state.scale))
    plan = replace(PLAN, steps=12, steps_per_epoch=1, plateau=(0.5, patience))
    _, after = fitted(tmp_path, plan, validation=scores)
    rates = [record["learning_rate"] for record in records(tmp_path, "step")]
    assert rates == pytest.approx([0.1, *(0.1 * scale for scale in scales[:-1])])
    assert float(after.rate_scale) == scales[-1] < 0.5


def test_an_unknown_metric_names_the_known(tmp_path):
    with pytest.raises(UserError, match=r"'pearsno' is not among the validation's: loss, pearson"):
        fitted(tmp_path, replace(PLAN, metric="pearsno"))


def test_going_on_cuts_the_records_of_steps_that_are_made_again(tmp_path):
    fitted(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "epo')  # what a kill leaves
    state = replace(begun(), step=jnp.asarray(6, jnp.int32))
    fitted(tmp_path, step=Losses(loss={7: 70.0, 8: 80.0}), state=state, validation=[0.6, 0.7])
    steps = records(tmp_path, "step")
    assert [r["step"] for r in steps] == list(range(1, 13))
    assert [r["loss"] for r in steps[5:8]] == pytest.approx([1 / 6, 70.0, 80.0])
    assert [(r["step"], r["pearson"]) for r in records(tmp_path, "validation")] == [
        (4, 0.1),
        (8, 0.6),
        (12, 0.7),
    ]
    assert all(json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    ("metric", "values", "best"),
    [
        ("pearson", [0.1, 0.3, 0.2], 2),
        ("loss", [0.3, 0.1, 0.2], 2),
        ("mse", [0.1, 0.3, 0.05], 3),
        ("accuracy", [0.2, 0.2, 0.1], 1),
        ("loss", [np.nan, 0.2, np.nan], 2),
    ],
)
def test_progress_knows_which_way_is_better(metric, values, best):
    progress = Progress()
    flags = [progress.update(metric, {metric: value}, 4 * k, k) for k, value in enumerate(values, 1)]
    assert progress.best["epoch"] == best
    assert [k for k, flag in enumerate(flags, 1) if flag][-1] == best
    assert progress.stale == 3 - best
    kept = json.loads(json.dumps(progress.to_json()))
    assert Progress.of(kept) == progress
    assert Progress.of({**kept, "of a later version": 1}) == progress


# -- early stopping and plateaus may wait for other scores than the one that picks the best checkpoint


def watching(folder, values, losses, steps=32, **plan):
    return fitted(folder, replace(PLAN, steps=steps, **plan), validation=values, losses=losses)


def test_early_stopping_waits_for_its_own_score(tmp_path):
    """r goes on rising after the loss has stopped to fall, in epoch 2."""
    rising = [0.1 * k for k in range(1, 9)]
    fit, state = watching(tmp_path, rising, [3, 1, 2, 2, 2, 2, 2, 2], patience=3, stop_metric="loss")
    assert int(state.step) == 4 * 5
    assert fit.progress.best["epoch"] == 5
    assert "early stop: 3 epochs without a better loss" in fit.output
    assert Progress.of(json.loads(json.dumps(fit.progress.to_json()))) == fit.progress


def test_a_plateau_waits_for_its_own_score_and_early_stopping_for_the_metric(tmp_path):
    rising = [0.1 * k for k in range(1, 9)]
    losses = [8.0, 7, 7, 7, 6, 6, 6, 6]  # drops after two epochs without a lower one: epochs 4 and 7
    fit, state = watching(tmp_path, rising, losses, plateau=(0.5, 1), plateau_metric="loss", patience=2)
    assert (int(state.step), float(state.rate_scale)) == (32, 0.25)
    assert [line.split(":")[0] for line in fit.output.splitlines() if "plateau" in line] == [
        "epoch 4",
        "epoch 7",
    ]


def test_what_they_wait_for_is_kept_in_checkpoints(tmp_path):
    plan = {"patience": 3, "stop_metric": "loss"}
    _, half = watching(tmp_path, [0.1, 0.2], [1, 2, 3], steps=8, **plan)
    progress = Progress.of(saved(tmp_path / "checkpoints")[-1].meta()["progress"])
    assert (progress.stale, progress.marks) == (1, {"loss": 1})
    whole = replace(PLAN, steps=32, **plan)
    _, state = fitted(tmp_path, whole, validation=[0.3] * 9, losses=[3] * 9, state=half, progress=progress)
    assert int(state.step) == 4 * 4


def test_a_ratio_is_best_near_one():
    progress = Progress()
    flags = [
        progress.update("spread_ratio", {"spread_ratio": v}, k, k)
        for k, v in enumerate([0.3, 0.9, 1.3, 1.05])
    ]
    assert flags == [True, True, False, True]


@pytest.mark.parametrize("field", ["stop_metric", "plateau_metric"])
def test_what_is_undefined_is_not_waited_for(tmp_path, field):
    """The metric is defined, what is watched is not: no epoch counts, and it is said once."""
    plan = replace(PLAN, metric="loss", steps=32, patience=2, plateau=(0.5, 1), **{field: "pearson"})
    losses = [1 / k for k in range(1, 9)]
    fit, state = fitted(tmp_path, plan, validation=[NAN] * 8, losses=losses)
    assert (int(state.step), float(state.rate_scale)) == (32, 1)
    assert fit.output.count("warning: pearson is undefined on the validation samples") == 1


# -- a metric that is undefined: one validation sample, targets or predictions that are constant there. It chooses no
# checkpoint, ends no run and lowers no rate; what was chosen without it is given up for the first epoch that has one.


@pytest.mark.parametrize(
    ("values", "losses", "best"),
    [
        ([NAN, NAN, NAN], [0.4, 0.2, 0.3], ("loss", 0.2, 2)),
        ([NAN, 0.1, NAN], [0.4, 0.5, 0.3], ("pearson", 0.1, 2)),  # even of a higher loss
        ([0.1, NAN, 0.05], [0.4, 0.1, 0.3], ("pearson", 0.1, 1)),
        ([NAN, NAN, -0.3], [0.4, 0.2, 0.3], ("pearson", -0.3, 3)),  # where 0 would have been better
        ([NAN, NAN, NAN], [NAN, NAN, NAN], None),
    ],
)
def test_an_undefined_metric_chooses_nothing(tmp_path, values, losses, best):
    plan = replace(PLAN, patience=1 if best and best[0] == "loss" else 2)
    fit, state = fitted(tmp_path, plan, validation=values, losses=losses)
    assert int(state.step) == 12, "no epoch without a score counts for early stopping"
    chosen = fit.progress.best
    assert (chosen and (chosen["metric"], chosen["value"], chosen["epoch"])) == best
    assert fit.output.count("warning: pearson is undefined on the validation samples") == 1


def test_an_undefined_metric_is_no_plateau(tmp_path):
    plan = replace(PLAN, steps=32, plateau=(0.5, 1))
    _, state = fitted(tmp_path, plan, validation=[0.3, *[NAN] * 7])
    assert float(state.rate_scale) == 1.0


def test_another_metric_than_before_is_compared_with_none():
    """A run that goes on by another one: a squared error of 0.9 is no worse than a correlation of 0.3."""
    progress = Progress(best={"metric": "pearson", "value": 0.3, "step": 4, "epoch": 1})
    assert progress.update("mse", {"mse": 0.9, "loss": 1.0}, 8, 2)
    assert not progress.update("mse", {"mse": 0.95, "loss": 1.0}, 12, 3)


def test_an_epochs_record_has_the_weights_of_its_last_update(tmp_path):
    class Fading(Losses):
        def __call__(self, state, batch):
            state, reported = super().__call__(state, batch)
            return state, {**reported, "loss/spread/weight": jnp.asarray(1 - int(state.step) / 100)}

    fitted(tmp_path, step=Fading())
    weights = [one["loss/spread/weight"] for one in records(tmp_path, "train")]
    assert weights == pytest.approx([0.96, 0.92, 0.88])


@pytest.mark.parametrize(("count", "expected"), [(0.0, 0.0), (8.0, np.nan)])
def test_a_checkpoint_from_before_goes_on(count, expected):
    """Of an epoch that was under way then, what the terms came to is not known."""
    sums = {"activity": RegressionSums.start(1)}
    older = replace(begun(), sums=sums).to_arrays()
    older["sums"]["activity.count"] = np.float32(count)
    now = replace(begun(), sums={"activity": RegressionSums.start(1, terms=("mse", "spread"))})
    restored = now.from_arrays(older).sums["activity"].terms
    np.testing.assert_equal(
        {name: float(value) for name, value in restored.items()}, dict.fromkeys(("mse", "spread"), expected)
    )
    assert now.from_arrays(now.to_arrays()).sums["activity"].terms.keys() == {"mse", "spread"}
    plain, answered = (sums.start(3) for sums in (ClassificationSums, AnswerSums))
    older = replace(begun(), sums={"label": replace(plain, count=jnp.asarray(count))}).to_arrays()
    earned = replace(begun(), sums={"label": answered}).from_arrays(older).sums["label"].earned
    np.testing.assert_equal(earned, np.full(1, expected, np.float32))


def test_without_validation_every_checkpoint_stays_and_awaits_one(tmp_path):
    def evaluate(variables):
        raise AssertionError("another process does")

    plan = replace(PLAN, elsewhere=True)
    told = []
    fit, state = fitted(
        tmp_path, plan, keep_every=None, evaluate=evaluate, told=lambda *one: told.append(one)
    )
    assert float(state.params["w"][0]) == 12, "trained as ever"
    assert [one.step for one in saved(tmp_path / "checkpoints")] == [4, 8, 12]
    assert {one.meta()["awaits"] for one in saved(tmp_path / "checkpoints")} == {"pearson"}
    assert [(one.step, scores) for one, scores in told] == [(4, None), (8, None), (12, None)]
    assert {record["split"] for record in journal.read(tmp_path / "metrics.jsonl")} == {"step", "train"}
    assert "epoch   3  loss" in fit.output
