"""A study as a run: an ordinary run for each variant, in directories inside its own."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from jaxlab.core.config import anchored, to_json
from jaxlab.core.lock import locked
from jaxlab.core.types import UserError
from jaxlab.data.source import Source, examples
from jaxlab.experiment.study import Study, innermost
from jaxlab.objectives import Resolved
from jaxlab.runs.checks import check_same
from jaxlab.runs.run import Run, Which
from jaxlab.training.budget import duration_text
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory


class StudyRun(Run):
    """Trained variants of one experiment. The kind of study says how they predict together, and what they are."""

    noun: ClassVar[str] = "runs"
    compares: ClassVar[bool] = True  # its variants, by their validation scores

    @classmethod
    def load(cls, rundir: RunDirectory, experiment: Any) -> Self:
        """As every run. Raises UserError where a member has no checkpoint yet."""
        directories = leaves_of(rundir, experiment)
        missing = [name for name, inside in directories.items() if not saved(inside.checkpoints)]
        if missing:
            raise UserError(
                f"{rundir.path}: {len(missing)} of {len(directories)} {cls.noun} have no checkpoint yet "
                f"({examples(missing)}); the same `jaxlab train` makes them"
            )
        return cls(rundir, experiment)

    @cached_property
    def runs(self) -> Mapping[str, Run]:
        """{variant: its run}. Data that are the same for several are opened once."""
        from jaxlab.runs.kinds import kind_of  # which has this kind, too

        directories = directories_of(self.rundir, self.experiment)
        found = {
            name: kind_of(variant).run(directories[name], variant, self.predicts)
            for name, variant in self.experiment.variants().items()
        }
        first, *others = (member for run in found.values() for member in run.members)
        for member in others:
            member.like = first
        return found

    @cached_property
    def members(self) -> Sequence[Run]:
        return [member for run in self.runs.values() for member in run.members]

    @property
    def objectives(self) -> tuple[Resolved, ...]:
        return self.members[0].objectives

    @property
    def source(self) -> Source:
        return innermost(self.experiment).data

    @property
    def network(self) -> NoReturn:
        paths = [member.rundir.path for member in self.members]
        raise UserError(
            f"{self.rundir.path} holds a run for each of its {self.noun}; name those: {examples(paths, len(paths))}"
        )

    def checkpoint(self, which: Which = "best") -> NoReturn:
        raise UserError(
            f"{self.rundir.path} holds a run for each variant, each with checkpoints of its own "
            f"({self.members[0].rundir.path}, ...)"
        )

    def checkpoints(self, which: Which) -> list[Saved]:
        """One of each member."""
        return [member.checkpoint(which) for member in self.members]

    # -- what training asks of the kind of study

    @classmethod
    def check(cls, study: Study, rundir: RunDirectory) -> None:
        """Raises UserError, before the first variant is trained, for one that could not be."""

    @classmethod
    def described(cls, study: Study) -> Mapping[str, Any]:
        """What run.json says of it besides."""
        return {}

    @classmethod
    def conclude(cls, study: Study, rundir: RunDirectory, session: Session) -> str | None:
        """Keep and print what all variants come to. Returns what no time was left for, if anything."""
        return None


def train_study(
    kind: type[StudyRun],
    study: Study,
    rundir: RunDirectory,
    *,
    source: str | None = None,
    allow_config_change: bool = False,
    session: Session | None = None,
) -> Path:
    """Train each variant that is not trained yet, then conclude. Arguments, result and errors are those of `train`."""
    from jaxlab.runs.kinds import kind_of  # which has this kind, too

    _check_validation(kind, study)
    session = session or Session()
    config = to_json(anchored(study))
    new = not rundir.exists() or allow_config_change
    if rundir.exists():  # whether data have changed, each variant finds out
        check_same(study, rundir, rundir.info(), allow_config_change, session)
    if new:
        kind.check(study, rundir)
    directories = directories_of(rundir, study)
    for number, (name, variant) in enumerate(study.variants().items()):
        title, inside = study.title(number), directories[name]
        if not session.allows(["start", "compile", "step", "checkpoint"]):
            return _stopped(rundir, session, f"before {title}")
        session.log(f"{title}: {inside.path}")
        given: dict[str, Any] = {"source": source, "allow_config_change": allow_config_change}
        alone = locked(inside.path / "lock", inside.path) if session.hosts.writes else nullcontext()
        with alone:  # it is a run like any other: somebody may train it alone
            within = session.within(title, judged=number == 0)
            kind_of(variant).train(variant, inside, **given, session=within)
        if not session.hosts.writes:
            if session.stopped:
                return rundir.path
            continue
        if session.stopped and not inside.exists():
            return rundir.path
        if new or rundir.config() != config:  # now that the data and the config are known to go together
            rundir.create(config, source, {**inside.info(), **kind.described(study)})
            new = False
        if session.stopped:
            return rundir.path
    if session.hosts.writes and (left := kind.conclude(study, rundir, session)):
        return _stopped(rundir, session, f"before {left}")
    return rundir.path


def _check_validation(kind: type[StudyRun], study: Study) -> None:
    training = getattr(innermost(study), "training", None)
    if kind.compares and getattr(training, "validate", "here") != "here":
        raise UserError(
            f"{type(study).__name__} compares {kind.noun} by validation scores, which they do not have with "
            'training.validate="elsewhere"; validate "here"'
        )


def directories_of(rundir: RunDirectory, study: Study) -> dict[str, RunDirectory]:
    """{variant: its directory}."""
    return {name: RunDirectory(rundir.path / name) for name in study.variants()}


def leaves_of(rundir: RunDirectory, study: Study) -> dict[str, RunDirectory]:
    """{variant, of a study of studies with theirs, as seed0/fold1: the directory of the one run that it is}."""
    found: dict[str, RunDirectory] = {}
    for name, variant in study.variants().items():
        inside = RunDirectory(rundir.path / name)
        within = leaves_of(inside, variant) if isinstance(variant, Study) else {}
        found |= {f"{name}/{leaf}": directory for leaf, directory in within.items()} or {name: inside}
    return found


def _stopped(rundir: RunDirectory, session: Session, where: str) -> Path:
    used = duration_text(session.budget.used)
    session.log(f"stopped after {used}, {where}; the same command goes on from there")
    return rundir.path
