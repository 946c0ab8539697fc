"""A report: of one run in full, or of several, first side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxlab.core.config import components
from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.heads.coordinates import read_coordinates
from jaxlab.pretext import PRETEXT
from jaxlab.report import frame
from jaxlab.report.results import (
    classes,
    course,
    facts,
    numbers,
    pretext,
    profile,
    scored,
    shown,
    study,
    subjects,
    worth,
)
from jaxlab.report.results.evidence import Evidence, gather
from jaxlab.report.results.reading import Reading, read
from jaxlab.report.results.section import Section, missing, paragraph
from jaxlab.report.results.side_by_side import beside
from jaxlab.report.results.variants import variants_of
from submit.errors import SubmissionError
from submit.files.atomic import atomic, atomic_folder
from submit.scores.by_class import ByClass
from submit.scores.by_target import ByTarget

_IN_FULL = 6  # runs of which all is shown, of more only what they are beside one another


@dataclass(frozen=True, eq=False)
class Report:
    """title: of the page. lead: its first sentence. sections: in their order. evidence: of each run, where known.
    readings: what each one's files say.

    In a notebook each section shows itself; `write` makes the page, `pictures` the files.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    evidence: tuple[Evidence | None, ...] = ()
    readings: tuple[Reading, ...] = ()

    def html(self) -> str:
        """The body of the page."""
        parts = [f"<h1>{frame.text(self.title)}</h1>"]
        parts += [f'<p class="lead">{frame.text(self.lead)}</p>'] if self.lead else []
        return "\n".join([*parts, *(section.html() for section in self.sections)])

    def write(self, path: str | Path) -> Path:
        """One page that loads nothing from elsewhere. Raises SubmissionError where the disk refuses."""
        frame.write(Path(path), self.title, self.html())
        return Path(path)

    def pictures(self, folder: str | Path) -> list[Path]:
        """Each picture as PNG in a new folder. Raises SubmissionError where there is something already."""
        drawn = [picture for section in self.sections for picture in section.pictures]
        with atomic_folder(folder) as made:
            for picture in drawn:
                with atomic(made / f"{picture.name}.png") as file:
                    file.write(picture.png())
        return [Path(folder) / f"{picture.name}.png" for picture in drawn]


def report(
    runs: Sequence[str | Path],
    settings: Iterable[str] = (),
    *,
    quick: bool = False,
    objective: str | None = None,
    coordinates: str | Path | None = None,
    subject: str | None = None,
    trust: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> Report:
    """The report of run directories. Nothing is written to them.

    settings: overrides such as `data.root=FOLDER`. quick: predict nothing, and look at no image's fingerprint.
    objective: of those that each run has learned; default its first. coordinates: a table of where targets lie, as
    `RetinaMap` has it; default the one that the run's own readout has. subject: of runs that pool several, the one that
    is shown; beside runs of its own data it is compared with these. trust: as `jaxlab.load` has it. log: is told
    what takes its time.
    Raises UserError where a path is no run directory, or the table does not place the targets.
    """
    paths = [Path(path) for path in runs]
    settings = tuple(settings)
    named = zip(paths, distinct(paths), strict=True)
    readings = tuple(read(path, name, settings, trust) for path, name in named)
    check_subject(readings, subject)
    places = None if coordinates is None else Path(coordinates)
    for one in readings:
        if places is not None and one.run is not None:
            read_coordinates(
                places, one.run.predicting(objective).targets
            )  # refused before anything is predicted
    found = tuple(evidence_of(one, quick, objective, log, subject=subject) for one in readings)
    if len(readings) == 1:
        several = _guarded("Scores by subject", lambda: subjects.sections(readings[0], quick, subject))
        sections = (*several, *of_run(readings[0], found[0], places))
        return Report(readings[0].name, scored.lead(readings[0], found[0]), sections, found, readings)
    sections = tuple(beside(readings, found))
    for number, (one, evidence) in enumerate(zip(readings, found, strict=True)):
        if len(readings) <= _IN_FULL:
            sections += (Section(one.name, (paragraph(scored.lead(one, evidence)),)),)
            sections += tuple(section.below(f"run{number}") for section in of_run(one, evidence, places))
        elif one.missing:
            sections += (Section(f"What is not shown of {one.name}", missing(dict.fromkeys(one.missing))),)
    return Report(f"{counted(len(readings), 'run')} side by side", "", sections, found, readings)


def check_subject(readings: Sequence[Reading], subject: str | None) -> None:
    """Raises UserError for one that is asked for of runs that are all of one."""
    known = [one.run for one in readings if one.run is not None]
    if subject is not None and known and not any(run.subjects for run in known):
        raise UserError(
            f"--subject {subject}: expected a run of several subjects, found {counted(len(known), 'run')} of one"
        )


def distinct(paths: Sequence[Path]) -> list[str]:
    """Short names that tell runs apart: of their paths what is not the same at the beginning and the end of all."""
    parts = [path.resolve().parts for path in paths]
    if len(paths) == 1:
        return ["/".join(parts[0][1:][-2:]) or str(paths[0])]
    within = min(map(len, parts)) - 1  # where one holds all the others, its own name tells it
    first = next((k for k, same in enumerate(zip(*parts, strict=False)) if len(set(same)) > 1), within)
    last = next(
        (k for k, same in enumerate(zip(*map(reversed, parts), strict=False)) if len(set(same)) > 1), 0
    )
    names = ["/".join(part[first : len(part) - last]) or "/".join(part[-2:]) for part in parts]
    return [
        f"{name} ({names[:k].count(name) + 1})" if names.count(name) > 1 else name
        for k, name in enumerate(names)
    ]


def evidence_of(
    reading: Reading,
    quick: bool,
    objective: str | None,
    log: Callable[[str], None],
    untrained: bool = True,
    subject: str | None = None,
) -> Evidence | None:
    """As `gather` has it; None where there is none, for which the reading then has a sentence.

    subject: of a run that pools several; of all at once there are scores alone.
    """
    if reading.run is None:
        return None
    run = reading.run.predicting(objective)
    if run.primary.of == PRETEXT:
        return None  # the data have no truth of it
    if run.subjects:
        if subject is None:
            return None
        run = run.subject(subject)
    return reading.attempt(lambda: gather(run, not quick, log, untrained))


def of_run(reading: Reading, evidence: Evidence | None, places: Path | None) -> Iterator[Section]:
    """All that is known of one run; of a part that cannot be shown, why."""
    yield from _guarded("Scores", lambda: [scored.section(reading, evidence)])
    yield from _guarded("What was trained on what", lambda: [facts.section(reading, evidence)])
    yield from _guarded("What each part is worth", lambda: worth.section(reading.rundir.path))
    yield from _guarded("Study", lambda: _study(reading))
    yield from _guarded("Training", lambda: filter(None, [course.section(reading)]))
    yield from _guarded("Where a step's time goes", lambda: profile.sections(reading))
    yield from _guarded("What the network is shown", lambda: pretext.sections(reading))
    if evidence is not None:
        if isinstance(evidence.found, ByTarget):
            found = evidence.found
            yield from _guarded("Predictions against targets", lambda: numbers.sections(evidence, found))
            yield from _guarded("Where targets lie", lambda: _map(reading, found, places))
        else:
            before = evidence.before if isinstance(evidence.before, ByClass) else None
            named: ByClass = evidence.found
            yield from _guarded("Classes", lambda: classes.sections(named, before))
        yield from _guarded("Images", lambda: [shown.section(evidence)])
    yield from _guarded("Config", lambda: [facts.config_section(reading)])
    if reading.missing:
        yield Section("What is not shown", missing(dict.fromkeys(reading.missing)))


def _study(reading: Reading) -> Iterator[Section]:
    variants = variants_of(reading.rundir.path)
    if variants:
        importance = reading.attempt(reading.run.importance) if reading.run is not None else None
        settings = not (reading.rundir.path / worth.FILE).is_file()
        yield study.section(variants, settings, importance)


def _map(reading: Reading, found: ByTarget, places: Path | None) -> Iterator[Section]:
    """places: a table of coordinates; default the one of the run's readout."""
    for part in components(reading.experiment) if places is None and reading.experiment is not None else ():
        if getattr(part, "coordinates", None) is not None:
            places = Path(part.coordinates)  # type: ignore[attr-defined]
    if places is not None:
        at = read_coordinates(places, tuple(found.targets.tolist()))[:, :2]
        yield Section("Where targets lie", (numbers.mapped(found, at),))


def _guarded(title: str, sections: Callable[[], Iterable[Section]]) -> Iterator[Section]:
    """The sections, or in their place what keeps them from being made."""
    try:
        yield from list(sections())
    except (UserError, SubmissionError, OSError) as error:
        yield Section(title, missing([f"{error}"]))
