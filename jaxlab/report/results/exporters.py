"""A run's config, scores and page in somebody's tracker: MLflow or Weights & Biases, each an extra of its own."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxlab.core.types import UserError
from jaxlab.report.results.facts import mapping
from jaxlab.report.results.reading import Reading

_BATCH = 500  # MLflow takes 1,000 metrics and 100 parameters at a time
_PARAMS = 100
_LONGEST = 500  # characters of a parameter that every version of MLflow takes
_PLACES = ("step", "epoch", "split")


def exporter(to: str) -> Callable[[Reading, Path | None], str]:
    """What sends a reading, and its page where there is one, and gives the words to say of it.

    to: "mlflow", "mlflow:URI" or "wandb". Raises UserError for another, and where its package is not installed; what
    it gives raises one where the tracker refuses.
    """
    name, _, uri = to.partition(":")
    if name not in ("mlflow", "wandb") or (uri and name == "wandb"):
        raise UserError(f"--to {to}: expected mlflow, mlflow:URI or wandb")
    try:
        module = __import__(name)
    except ImportError:
        raise UserError(f'--to {name}: {name} is not installed: pip install "jaxlab[{name}]"') from None

    def send(reading: Reading, page: Path | None) -> str:
        try:
            if name == "mlflow":
                return _to_mlflow(module, uri or None, reading, page)
            return _to_wandb(module, reading, page)
        except Exception as error:  # no connection, no login: each tracker has errors of its own
            raise UserError(
                f"--to {to}: {reading.name} was not sent ({type(error).__name__}: {error})"
            ) from error

    return send


def metrics(reading: Reading) -> Iterator[tuple[int, dict[str, float]]]:
    """(step, {split/score: value}) of each record of metrics.jsonl, without what is undefined."""
    for record in reading.records:
        values = {
            f"{record['split']}/{name}": float(value)
            for name, value in record.items()
            if name not in _PLACES and value is not None
        }
        if values:
            yield record["step"], values


def parameters(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """(dotted name, text) of a config's fields, its components' types by the name of their field."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from parameters(item, f"{at}.{name}" if at else str(name))
    else:
        yield at, value if isinstance(value, str) else json.dumps(value)


def _tags(reading: Reading) -> dict[str, str]:
    info = mapping(reading.info)
    found = {
        "run": str(reading.rundir.path),
        "data": mapping(info.get("data")).get("fingerprint"),
        "commit": info.get("commit"),
    }
    return {name: str(value) for name, value in found.items() if value}


def _to_mlflow(mlflow: Any, uri: str | None, reading: Reading, page: Path | None) -> str:
    """A run of the experiment "jaxlab"."""
    client = mlflow.MlflowClient(tracking_uri=uri)
    known = client.get_experiment_by_name("jaxlab")
    experiment = client.create_experiment("jaxlab") if known is None else known.experiment_id
    number = client.create_run(experiment, tags=_tags(reading), run_name=reading.name).info.run_id
    given = [
        mlflow.entities.Param(_allowed(name), text[:_LONGEST]) for name, text in parameters(reading.config)
    ]
    for start in range(0, len(given), _PARAMS):
        client.log_batch(number, params=given[start : start + _PARAMS])
    scores = [
        mlflow.entities.Metric(_allowed(name), value, 0, step)
        for step, values in metrics(reading)
        for name, value in values.items()
    ]
    for start in range(0, len(scores), _BATCH):
        client.log_batch(number, metrics=scores[start : start + _BATCH])
    if page is not None:
        client.log_artifact(number, str(page))
    client.set_terminated(number)
    return f"{reading.name}: MLflow run {number}, {len(scores):,} scores"


def _allowed(name: str) -> str:
    """The letters that MLflow takes in a name."""
    return re.sub(r"[^\w\-. /]", "_", name)


def _to_wandb(wandb: Any, reading: Reading, page: Path | None) -> str:
    """A run of the project "jaxlab"."""
    run = wandb.init(project="jaxlab", name=reading.name, config=dict(reading.config or {}))
    run.summary.update(_tags(reading))
    for step, values in _by_step(reading).items():
        run.log(values, step=step)
    if page is not None:
        run.log({"report": wandb.Html(page.read_text("utf-8"), inject=False)})
    run.finish()
    return f"{reading.name}: Weights & Biases run {run.name}"


def _by_step(reading: Reading) -> dict[int, dict[str, float]]:
    """All scores of a step together: Weights & Biases takes steps in order, each once."""
    found: dict[int, dict[str, float]] = {}
    for step, values in metrics(reading):
        found.setdefault(step, {}).update(values)
    return dict(sorted(found.items()))
