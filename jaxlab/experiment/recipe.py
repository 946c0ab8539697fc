"""Everything that follows from an experiment and its data, each worked out once.

`resolve(experiment, opened)` is what training starts from; `recalled(experiment, task)` what predicting starts from,
with the task read back from the run. Nothing else derives a part of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.blocks import Targets
from jaxlab.core.types import EVALUATION
from jaxlab.data.levels import Levels
from jaxlab.data.source import Opened
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.inputs import Input, Portion, encoders_of, examined, posed_targets
from jaxlab.experiment.network import NetworkShapes, builder, shapes_of
from jaxlab.experiment.posed import check_rivals
from jaxlab.experiment.questions import check_layers, language_of
from jaxlab.experiment.seen import input_of
from jaxlab.experiment.sides import asked_of_mirrored, divided, seen_on_both_sides, unvalidated
from jaxlab.experiment.task import Task
from jaxlab.experiment.watched import check_watched
from jaxlab.heads.answers import filled, tied
from jaxlab.models.order import order
from jaxlab.nn.fixed import fixed_paths
from jaxlab.nn.plain import check_rows
from jaxlab.objectives import Resolved, answer_types_of, resolved, targets_of
from jaxlab.optim import Groups, Plateau, Tuning, undecayed
from jaxlab.pretext import PRETEXT
from jaxlab.training.plan import Plan
from jaxlab.training.runtime import compute_dtype
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState, Variables
from jaxlab.training.step import Program, initial_parameters
from jaxlab.training.update import Learning


@dataclass(frozen=True)
class Course:
    """How a network comes to be trained. positions: of the training and validation samples.

    tuning: what trains, from when and at which rate. table: the record of it, by layer, that a run keeps.
    notes: on the truth that is learned from, said as training begins.
    """

    positions: tuple[np.ndarray, np.ndarray]
    steps_per_epoch: int
    tuning: Tuning
    table: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """An experiment resolved. shapes: the network's, traced once. course: None where nothing is to be trained."""

    experiment: Experiment
    task: Task
    input: Input
    shapes: NetworkShapes
    course: Course | None = None

    @property
    def metric(self) -> str:
        """The validation score that tells which of several checkpoints is best."""
        pairs = self.experiment.pretext is not None and self.experiment.pretext.views > 1
        usual = "loss" if pairs else self.task.primary.headline  # views agree well before anything is learned
        return self.experiment.training.metric or usual

    @cached_property
    def program(self) -> Program:
        """The static parts of a forward pass and its scores."""
        experiment = self.experiment
        return Program(
            shapes=self.shapes,
            objectives=self.task.objectives,
            prepare=self.input.prepare,
            mix=experiment.mix,
            pretext=experiment.pretext,
            dtype=compute_dtype(experiment.training.dtype),
            remat=experiment.training.remat,
        )

    @property
    def training(self) -> Course:
        """The course. Raises ValueError where nothing is to be trained."""
        if self.course is None:
            raise ValueError(
                "this recipe was recalled from a run, to predict; resolve() has what training needs"
            )
        return self.course

    @property
    def plan(self) -> Plan:
        """What the loop does when."""
        training, schedule = self.experiment.training, self.experiment.optimizer.schedule
        steps_per_epoch = self.training.steps_per_epoch
        return Plan(
            steps=training.total_steps(steps_per_epoch),
            steps_per_epoch=steps_per_epoch,
            metric=self.metric,
            patience=training.early_stopping,
            stop_metric=training.early_stopping_metric,
            plateau=(schedule.factor, schedule.patience) if isinstance(schedule, Plateau) else None,
            plateau_metric=schedule.metric if isinstance(schedule, Plateau) else None,
            checkpoint_steps=training.checkpoint_steps,
            average_from=training.first_averaged(training.total_steps(steps_per_epoch)),
            elsewhere=training.validate == "elsewhere",
        )

    @cached_property
    def phases(self) -> list[Learning]:
        """How the steps of each phase change the parameters: more of them train from one to the next."""
        experiment, course = self.experiment, self.training
        training, optimizer = experiment.training, experiment.optimizer
        total = training.total_steps(course.steps_per_epoch)
        rate = optimizer.schedule.build(optimizer.lr, course.steps_per_epoch, total)
        momentum = optimizer.schedule.build_momentum(course.steps_per_epoch, total)
        params, stats = (tree.flatten(part) for part in self.shapes[1:])
        starts = course.tuning.starts(course.steps_per_epoch)
        groups = Groups(optimizer, tuple(starts.values()), undecayed(experiment))
        trains: tuple[str, ...] = ()
        phases = []
        for first, group in starts.items():
            trains = (*trains, *group)
            phases.append(
                Learning(
                    first=first,
                    trains=trains,
                    frozen_norms=course.tuning.frozen_norms(trains, params, stats),
                    optimizer=groups,
                    rate=rate,
                    steps_per_epoch=course.steps_per_epoch,
                    accumulate=training.accumulate,
                    ema_decay=training.ema,
                    momentum=momentum,
                    average_from=training.first_averaged(total),
                )
            )
        return phases

    def prepared_as(self, weights: dict[str, Any] | None) -> Self:
        """With images prepared as pretrained weights were. weights: the record that `load_pretrained` makes."""
        task = self.task.prepared_as(self.experiment.normalize, weights)
        task = task.settled_by(self.experiment.model, weights)
        made: Any = replace(self, task=task, input=replace(self.input, task=task))  # type: ignore[type-var]
        return (
            replace(made, shapes=shapes_of(builder(self.experiment, task, made.input)))
            if task.settled
            else made
        )

    def above(self, origins: Mapping[str, np.ndarray]) -> Self:
        """With truth and predictions taken above these origins on the devices, and no others."""
        task = self.task.above(origins)
        return replace(self, task=task, input=replace(self.input, task=task))  # type: ignore[type-var]

    def check_rows(self, variables: Variables) -> None:
        """Raises UserError where a model or readout of the user's own mixes the images of a batch in evaluation."""
        heads = [one.head for one in self.task.objectives]
        check_rows(
            lambda images: self.program.apply(variables, images, EVALUATION).outputs,
            self.input.shape,
            [self.experiment.model, *self.experiment.model.parts.values(), *heads],
        )

    @property
    def of_answers(self) -> tree.Flat:
        """Parameters that are made of the answers' words, by path; none in most networks.

        Made anew each time, by a language model. Raises UserError where that, or what it makes, is of no use.
        """
        return dict(filled(nnx.merge(*self.shapes)))

    def tied_answers(self, of_answers: tree.Flat) -> list[str]:
        """A line for each head that cannot tell some answers apart. of_answers: as the property."""
        return tied(nnx.merge(*self.shapes), of_answers) if of_answers else []

    def initial_variables(
        self,
        learn: Portion,
        pretrained: tuple[tree.Flat, tree.Flat] = ({}, {}),
        of_answers: tree.Flat | None = None,
        layout: Layout | None = None,
    ) -> Variables:
        """Those before the first step. pretrained: parameters and batch statistics of the backbone.

        of_answers: as the property; without, such parameters are 0. layout: where parameters are made in parts.
        """
        layout = layout or Layout("single", 1)
        params, stats = initial_parameters(builder(self.experiment, self.task, self.input), layout.made)
        for flat, loaded in zip((params, stats), pretrained, strict=True):
            flat.update({f"backbone.{path}": layout.laid(leaf) for path, leaf in loaded.items()})
        params.update({path: layout.laid(leaf) for path, leaf in (of_answers or {}).items()})
        constants = {
            name: leaf
            for one in self.task.objectives
            for name, leaf in one.constants(
                *_to_measure(one, learn, self.experiment.training.standardize)
            ).items()
        }
        return Variables(params, stats, constants)

    def initial_state(
        self,
        learn: Portion,
        pretrained: tuple[tree.Flat, tree.Flat] = ({}, {}),
        of_answers: tree.Flat | None = None,
        layout: Layout | None = None,
    ) -> TrainState:
        """The state before the first step. pretrained, of_answers, layout: as for `initial_variables`."""
        layout, training = layout or Layout("single", 1), self.experiment.training
        variables = self.initial_variables(learn, pretrained, of_answers, layout)
        params = variables.params
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats=variables.stats,
            constants=variables.constants,
            opt_state=layout.made(self.phases[0].optimizer.init, params),
            ema=None if training.ema is None and training.average_from is None else params,
            rate_scale=jnp.ones(()),
            sums=self.program.start(),
        )


def resolve(
    experiment: Experiment,
    opened: Opened,
    levels: Levels | None = None,
    records: Sequence[Mapping[str, Any]] = (),
) -> Recipe:
    """What training starts from. levels: what `images.levels` is where the experiment leaves it to the data.

    records: those of the encoders of a run that is gone on with.

    Raises UserError where parts of the experiment do not go with one another or with the data.
    """
    positions, steps_per_epoch = divided(experiment, opened)
    check_rivals(experiment.pretext, len(positions[1]))
    encoders = encoders_of(experiment, levels, records)
    source = type(experiment.data).__name__
    missing = experiment.missing
    posed = posed_targets(experiment, opened)
    targets = targets_of(experiment.goals, opened, source, missing, posed)
    kinds = answer_types_of(experiment.goals, opened.train)
    objectives = resolved(experiment.goals, targets, missing=missing, answer_types=kinds)
    standardize = experiment.training.standardize
    limited = experiment.limit is not None
    notes = [
        line for one in objectives for line in one.learnable(opened.train, positions[0], standardize, limited)
    ]
    notes += [*unvalidated(opened, positions[1]), *seen_on_both_sides(opened.train, positions)]
    notes += asked_of_mirrored(experiment, opened.train, positions[0])
    for one in objectives:
        one.head.check_targets(one.targets)
    if standardize:  # else losses compare numbers as they are
        objectives = tuple(replace(one, origin=one.origin_in(opened.train)) for one in objectives)
    check_watched(experiment, objectives, opened)
    language = language_of(experiment.model, opened, positions) if experiment.model.asks else {}
    task = replace(examined(experiment, opened, objectives, encoders, levels), language=language)
    recipe = recalled(experiment, task, input_of(experiment, task, encoders))
    check_layers(experiment, recipe.shapes, recipe.input.shape)
    tuning, table = _tuned(recipe, steps_per_epoch)
    return replace(recipe, course=Course(positions, steps_per_epoch, tuning, table, tuple(notes)))


def _to_measure(one: Resolved, learn: Portion, standardize: bool) -> tuple[Targets, bool]:
    """The truth that an objective's constants are measured of, and whether it is standardised by them.

    What a pretext task makes on the devices is normalised as images are, and of classes that are equally frequent.
    """
    if one.of != PRETEXT:
        return learn.truth[one.name], standardize
    count = len(one.targets)
    return (np.arange(count) if one.kind == "classification" else np.zeros((1, count), np.float32)), False


def recalled(experiment: Experiment, task: Task, seen: Input | None = None) -> Recipe:
    """What predicting starts from: the task is that of a trained run. seen: its input, where it is known."""
    seen = seen or input_of(experiment, task)
    return Recipe(experiment, task, seen, shapes_of(builder(experiment, task, seen)))


def _tuned(recipe: Recipe, steps_per_epoch: int) -> tuple[Tuning, list[dict[str, Any]]]:
    """What trains, from when and at which rate, and the record of it.

    Raises UserError for rules that do not fit the network or the run's length.
    """
    experiment = recipe.experiment
    layers, layer_of, unread = order(recipe.shapes, recipe.input.shape)
    epochs = experiment.training.total_steps(steps_per_epoch) / steps_per_epoch
    fixed = fixed_paths(recipe.shapes[1])
    tuning = experiment.finetune.resolve(layers, layer_of, unread, epochs, fixed)
    params, stats = (tree.flatten(part) for part in recipe.shapes[1:])
    sizes = {path: leaf.shape for path, leaf in params.items()}
    return tuning, tuning.table(layers, layer_of, unread, sizes, stats, experiment.optimizer.lr)
