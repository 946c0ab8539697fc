"""The root of a config: what an experiment consists of, and which parts go together."""

import hashlib
import math
import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import jax

from jaxlab.core.config import LATER, Component
from jaxlab.core.subjects import MANY
from jaxlab.core.types import UserError
from jaxlab.data.balance import Balance, MirrorCopies
from jaxlab.data.device.augment import Augmentation, Flip, Normalize
from jaxlab.data.device.channels import Channel
from jaxlab.data.device.mix import Mix
from jaxlab.data.images import Images
from jaxlab.data.source import Opened, Source, fingerprint, fingerprint_of_all, fingerprints, with_texts
from jaxlab.data.sources.simulated import Simulated
from jaxlab.data.split import RandomSplit, Split
from jaxlab.encode import CachedFeatures
from jaxlab.encode.encoder import texts_read
from jaxlab.evaluate.inference import Inference
from jaxlab.experiment.posed import check_pretext
from jaxlab.heads import Head, Linear
from jaxlab.losses import Loss, Mse
from jaxlab.models.base import Model
from jaxlab.models.features import Features
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.objectives import ANSWERS, KINDS, Objective
from jaxlab.optim import AdamW, FineTune, Optimizer, Plateau
from jaxlab.pretext import PRETEXT, Pretext
from jaxlab.training.sharding import AUTO, Layout, MeshShape, Parallel
from jaxlab.weights.read import without_download


@dataclass(frozen=True, kw_only=True)
class Training(Component):
    """How long, in what pieces and on what to train.

    epochs or steps: the length of the run. batch_size: images in one update, over all devices.
    accumulate: the update's gradient is summed over so many parts of the batch, one after the other.
    dtype: of the forward and backward pass; parameters stay float32. On a CPU "bfloat16" rounds the operands of matrix
        products alone (linear layers, 1 x 1 convolutions), and only where the processor has instructions for it.
    ema: decay of the parameters' moving average, which evaluation then uses; None keeps none.
    average_from: share of the run after which evaluation uses the mean of the parameters of all updates since (0.75: of
        the last quarter), with batch-norm statistics measured for it on the training images at each epoch's end
        (Izmailov et al. 2018, with every update). None for none; beside ema there is none.
    compare_gradients: of several objectives, each one's gradient on the backbone, with its weight, is measured on an
        epoch's last batch: its length, and the cosine between each two, below 0 where one objective undoes what the
        other does. metrics.jsonl, the terminal and the curves have them.
    parallel: how devices share a batch: "pmap", "data" (one sharded array), "single" (one device alone), or "auto":
        pmap on as many devices as the batch can be divided among. "fsdp" is "data" with parameters, gradients, averages
        and optimizer state in parts, one a device. The update is the same.
    mesh: of "fsdp", (data, fsdp) devices: parameters lie in as many parts as the second number says, and the first is
        how many copies there are; default (1, all devices).
    remat: of each block of the backbone its input alone is kept for the pass back, which computes the rest once more:
        less memory, a third more time. The gradient is the same.
    metric: the validation score that picks the best checkpoint; default Pearson r or accuracy, of `Contrast` the loss.
        Where it is undefined, as r of one sample or of constant targets, the validation loss does.
    early_stopping: epochs without a better metric before the run stops; one where it is undefined does not count.
    early_stopping_metric: the validation score that early stopping waits for; default `metric`.
    checkpoint_steps: checkpoints within epochs too, every so many updates.
    keep_every: besides the last two and the best, keep the checkpoints whose number of updates is a multiple of this,
        of those at the ends of epochs and at checkpoint_steps. `jaxlab soup` averages what was kept.
    validate: "here", at each epoch's end, or "elsewhere": training goes on without, and keeps every checkpoint until
        `jaxlab evaluate --pending` has validated it, in another process or on another machine, which then also chooses
        the best. Early stopping and a plateau need validation here.
    standardize: targets are standardised by the training split's mean and standard deviation, for losses whose `space`
        does not say that they compare the targets' own units.
    """

    epochs: float | None = None
    steps: int | None = None
    batch_size: int = 64
    accumulate: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    ema: float | None = None
    parallel: Parallel = "auto"
    metric: str | None = None
    early_stopping: int | None = None
    early_stopping_metric: str | None = field(default=None, metadata=LATER)
    checkpoint_steps: int | None = None
    keep_every: int | None = None
    standardize: bool = True
    average_from: float | None = field(default=None, metadata=LATER)
    compare_gradients: bool = field(default=True, metadata=LATER)
    validate: Literal["here", "elsewhere"] = field(default="here", metadata=LATER)
    mesh: MeshShape | None = field(default=None, metadata=LATER)
    remat: bool = field(default=False, metadata=LATER)

    def check(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise UserError(
                f"Training: expected epochs or steps, found epochs={self.epochs}, steps={self.steps}"
            )
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(f"Training.ema: expected a decay between 0 and 1, found {self.ema}")
        if self.early_stopping_metric is not None and self.early_stopping is None:
            raise UserError(
                f"Training.early_stopping_metric: {self.early_stopping_metric!r} is watched by early stopping alone, "
                "which is not asked for; set early_stopping to the epochs that it waits"
            )
        if self.validate == "elsewhere" and self.early_stopping is not None:
            raise UserError(
                f"Training.early_stopping: {self.early_stopping} epochs are counted by validation scores, which "
                'training does not have with validate="elsewhere"; leave early_stopping out, or validate "here"'
            )
        if self.mesh is not None and self.parallel != "fsdp":
            raise UserError(
                f'Training.mesh: {self.mesh} says how parallel="fsdp" spreads parameters, found '
                f'parallel="{self.parallel}"; set that to "fsdp", or leave mesh out'
            )
        if self.mesh is not None and min(self.mesh) < 1:
            raise UserError(f"Training.mesh: expected (data, fsdp) of 1 or more each, found {self.mesh}")
        if self.average_from is not None and not 0 <= self.average_from < 1:
            raise UserError(
                f"Training.average_from: expected a share of the run in [0, 1), found {self.average_from}"
            )
        if self.average_from is not None and self.ema is not None:
            raise UserError(
                f"Training: expected ema or average_from, found both ({self.ema} and {self.average_from}): evaluation "
                "uses one average"
            )
        for name in (
            "epochs",
            "steps",
            "batch_size",
            "accumulate",
            "early_stopping",
            "checkpoint_steps",
            "keep_every",
        ):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"Training.{name}: expected more than 0, found {value}")

    def first_averaged(self, total_steps: int) -> int | None:
        """Updates before those that are averaged; None without `average_from`."""
        if self.average_from is None:
            return None
        return min(round(self.average_from * total_steps), total_steps - 1)

    def total_steps(self, steps_per_epoch: int) -> int:
        """Updates in the whole run."""
        return self.steps if self.epochs is None else max(round(self.epochs * steps_per_epoch), 1)  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Experiment(Component):
    """One run: what is predicted from what, by which network, trained how.

    data: where samples come from. images: size and shape that they are brought to. split: which of the labelled ones
        are for validation. model: the backbone, whose named layers heads read.
    balance: how an epoch shows classes equally often. augment, mix: of training images alone.
    channels: further input channels, computed from the image.
    normalize: default the one that belongs to the pretrained weights, else ImageNet's.
    head, loss: of the one objective. objectives: several by name, in place of both; the first is the primary one, which
        picks the best checkpoint and is what is predicted.
    pretext: a task that makes a truth of images alone, whose labels are not used. `head` and `loss` are then of it;
        among several objectives it is the one of="pretext".
    limit: train and validate on no more than so many samples each (for a quick look); of `Pooled` data on as many of
        each subject.
    inference: how the trained network predicts; no part of what it is, so that a run may be given another.
    optimizer: with its learning rates. finetune: what trains when. training: how long, in which batches.
    seed: of first parameters, order, augmentation and dropout.
    """

    data: Source = Simulated()
    images: Images = Images()
    split: Split = RandomSplit()
    balance: Balance | None = None
    augment: tuple[Augmentation, ...] = ()
    mix: Mix | None = None
    channels: tuple[Channel, ...] = ()
    normalize: Normalize | None = None
    model: Model = ShallowCNN()
    head: Head = Linear()
    loss: Loss = Mse()
    objectives: dict[str, Objective] = field(default_factory=dict, hash=False, metadata=LATER)
    optimizer: Optimizer = AdamW()
    finetune: FineTune = FineTune()
    training: Training = Training(epochs=30)
    seed: int = 0
    limit: int | None = None
    inference: Inference = Inference()
    pretext: Pretext | None = field(default=None, metadata=LATER)

    def check(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise UserError(f"Experiment.seed: expected 0 to 2**32 - 1, found {self.seed}")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"Experiment.limit: expected 1 or more, found {self.limit}")
        check_pretext(self)
        self._check_objectives()
        self._check_mirrors()
        self._check_features()
        self._check_questions()
        self._check_missing()
        if self.training.validate == "elsewhere" and isinstance(self.optimizer.schedule, Plateau):
            raise UserError(
                "optimizer.schedule: Plateau() lowers the learning rate by validation scores, which training does not "
                'have with training.validate="elsewhere"; use another schedule, or validate "here"'
            )

    @property
    def goals(self) -> dict[str, Objective]:
        """The objectives by name, the primary one first: those given, or the one of `head` and `loss`."""
        if self.objectives:
            return self.objectives
        if self.pretext is not None:
            return {PRETEXT: Objective(head=self.head, loss=self.loss, of=PRETEXT)}
        return {KINDS[self.loss.kind].usual_truth: Objective(head=self.head, loss=self.loss)}

    @property
    def missing(self) -> bool:
        """Whether some of the truth may be NaN."""
        return self.data.missing_targets or (self.pretext is not None and self.pretext.partial)

    @property
    def leaves_out_unknown(self) -> bool:
        """Whether samples of no class (label -1) are left out of training: classes are all that is learned, or shown
        equally often."""
        classes = all(one.truth == KINDS["classification"].usual_truth for one in self.goals.values())
        return self.pretext is None and (classes or self.balance is not None)

    def fingerprint(self, opened: Opened) -> str:
        """Of the labelled data, with those columns, and those predictions of others, that are learned from."""
        return self.fingerprints(opened)[0]

    def fingerprints(self, opened: Opened) -> tuple[str, dict[str, str]]:
        """`fingerprint`, and {subject: that of its own data} where several are pooled."""
        subjects = fingerprints(opened.subjects, self.learned_columns)
        found = fingerprint_of_all(subjects) if subjects else fingerprint(opened, self.learned_columns)
        teachers = [one.teacher or one.distill for one in self.goals.values()]
        digests = [teacher.digest(opened.train.ids) for teacher in teachers if teacher is not None]
        whole = hashlib.sha256("\n".join([found, *digests]).encode()).hexdigest() if digests else found
        return with_texts(whole, texts_read(getattr(self.data, "encoders", ()), opened.train)), subjects

    @property
    def learned_columns(self) -> tuple[str, ...]:
        """Further columns that are learned from."""
        own = {
            kind.usual_truth for kind in KINDS.values()
        }  # in the fingerprint already, whatever columns are called
        own |= {PRETEXT}  # made of the images, which are in it
        goals = self.goals.values()
        columns = dict.fromkeys(one.truth for one in goals if one.teacher is None and one.truth not in own)
        if any(part.of_answers for one in goals for part in one.loss.parts):
            columns |= {ANSWERS: None}
        return tuple(columns | dict.fromkeys(self._texts))

    def _check_objectives(self) -> None:
        if self.objectives and (self.head, self.loss) != (Linear(), Mse()):
            raise UserError(
                "Experiment: expected head and loss, or objectives, found both; put head and loss into an objective"
            )
        if wrong := [name for name in self.objectives if not re.fullmatch(r"[A-Za-z]\w*", name)]:
            raise UserError(f"Experiment.objectives: expected names of letters and digits, found {wrong}")
        if "type" in self.objectives:  # in JSON it is the name of a component
            raise UserError("Experiment.objectives: expected another name than 'type'; call it 'kind'")
        if [one.learned for one in self.goals.values()] == [True]:
            raise UserError("Experiment.objectives: expected several where a weight is learned, found one")
        for name, one in self.goals.items():
            if one.head.rates and one.loss.space == "standardised" and self.training.standardize:
                raise UserError(
                    f"objective {name!r}: {type(one.head).__name__}() predicts 0 or more in the targets' own units, "
                    f"but {type(one.loss).__name__}() compares standardised ones, of which half lie below 0: use a "
                    "loss of units, as Poisson(), or set training.standardize to False"
                )

    def _check_mirrors(self) -> None:
        """Raises UserError where mirroring would change what images show, or would undo the balance of classes."""
        flips = [part for part in (*self.augment, self.balance) if isinstance(part, Flip | MirrorCopies)]
        for axis, mirrored in self.inference.tta.mirrors.items():
            if mirrored and axis not in self.data.mirrors:
                raise UserError(
                    f"inference.tta: a {axis} mirror image of {type(self.data).__name__} shows something else; leave "
                    f"{'mirror' if axis == 'horizontal' else 'mirror_vertical'} out"
                )
        for axis in ("horizontal", "vertical"):
            used = [type(part).__name__ for part in flips if getattr(part, axis)]
            if used and axis not in self.data.mirrors:
                raise UserError(
                    f"{used[0]}({axis}=True): a {axis} mirror image of {type(self.data).__name__} shows something "
                    f"else; set {axis}=False or leave {used[0]} out"
                )
            if len(set(used)) > 1:
                raise UserError(
                    f"balance=MirrorCopies({axis}=True) beside {axis} Flip(): it mirrors the copies at random, so that "
                    "they repeat their images; leave Flip out, or use balance=Oversample()"
                )

    def _check_features(self) -> None:
        """Cached features go with a model that reads them, and are made of images that the encoders prepare."""
        cached, reads = isinstance(self.data, CachedFeatures), isinstance(self.model, Features)
        if cached != reads:
            raise UserError(
                "Experiment: expected data=CachedFeatures(...) and model=Features() together or neither, found "
                f"data={type(self.data).__name__}(...), model={type(self.model).__name__}(...)"
            )
        unused: dict[str, Any] = {"images": self.images != Images(), "normalize": self.normalize}
        unused |= {name: getattr(self, name) for name in ("augment", "channels", "mix", "balance")}
        unused["inference"] = not self.inference.plain
        if cached and (given := [name for name, is_set in unused.items() if is_set]):
            raise UserError(
                f"Experiment: {', '.join(given)} cannot go with data=CachedFeatures(...): features are computed once, "
                "from images as each encoder's own images and normalize say (data.encoders.0.images)"
            )

    @property
    def _texts(self) -> tuple[str, ...]:
        """The columns of texts that the model reads."""
        return (self.model.column,) if self.model.asks else ()  # type: ignore[attr-defined]

    def _check_questions(self) -> None:
        """Raises UserError for what would change an image behind the back of a question about it."""
        if not self.model.asks:
            return
        name = type(self.model).__name__
        if self.mix is not None:
            raise UserError(
                f"mix={type(self.mix).__name__}() cannot go with model={name}(...): a mixture of two images has no "
                "question of its own"
            )
        if isinstance(self.balance, MirrorCopies):
            raise UserError(
                f"balance=MirrorCopies() cannot go with model={name}(...); use balance=Oversample()"
            )
        if not self.inference.plain:
            raise UserError(
                f"inference: views of an image and their refinement cannot go with model={name}(...) yet; leave it out"
            )

    def _check_missing(self) -> None:
        """Raises UserError where targets may be missing and a loss cannot do without them."""
        if not self.missing:
            return
        for name, one in self.goals.items():
            for part in one.loss.parts:
                if part.kind == "regression" and one.teacher is None and not part.leaves_out_missing:
                    loss = type(part).__name__
                    raise UserError(
                        f"{self._why_missing()}: objective {name!r}: {loss} does not leave out missing targets, as "
                        "Mse(), SmoothL1(), NegativePearson() and others do; a loss of your own does where it gives a "
                        f"value each (TargetLoss), or says so (leaves_out_missing = True in {loss})"
                    )

    def _why_missing(self) -> str:
        if self.data.pools:
            return f"data={type(self.data).__name__}(...), where other subjects' targets are missing"
        own = self.data.missing_targets
        return "data.missing_targets=True" if own else f"pretext={type(self.pretext).__name__}()"

    @property
    def group(self) -> int:
        """Rows of a batch that belong on one device: mixing needs pairs."""
        return 1 if self.mix is None else 2

    @property
    def layout(self) -> Layout:
        """How training lies on the devices that there are, of all processes. Raises UserError where it does not fit."""
        return self.layout_with(AUTO)

    def layout_with(self, several: Parallel) -> Layout:
        """`layout`, where "auto" takes `several` on several devices, as a run began that is gone on with."""
        training = self.training
        how = (training.parallel, training.batch_size, training.accumulate, self.group, training.mesh)
        return Layout(*how, several=several, everywhere=True)

    def smoke(self) -> Self:
        """The same experiment made tiny: two steps on a handful of samples, enough for each device.

        Weights are loaded from a file or folder, but not downloaded from a hub.
        """
        batch = math.lcm(4, jax.device_count() * self.group) * self.training.accumulate
        training = replace(self.training, epochs=None, steps=2, batch_size=batch)
        data = self.data.smoke()
        finetune = self.finetune.smoke()
        model = self.model.with_parts(
            {name: without_download(part) for name, part in self.model.parts.items()}
        )
        limit = 2 * batch * (MANY if self.data.pools else 1)
        return replace(self, data=data, training=training, finetune=finetune, model=model, limit=limit)
