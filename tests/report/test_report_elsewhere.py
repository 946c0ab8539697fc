"""A report in a notebook and in trackers."""

import re
import sys
from types import SimpleNamespace

import pytest
from made import STEPS, T, invoke

from jaxlab.core.types import UserError
from jaxlab.report.results.exporters import exporter
from jaxlab.report.results.reading import Reading
from jaxlab.training.rundir import RunDirectory


@pytest.mark.slow  # draws a page
def test_a_notebook_makes_the_same(numbered, tmp_path, capsys, monkeypatch):
    """Its cells are run one after another, and are those of a notebook by nbformat."""
    import IPython.display
    import nbformat

    path, shown = tmp_path / "results.ipynb", []
    invoke("report", numbered[2][0], "--quick", "--notebook", path)
    cells = nbformat.validator.validate(book := nbformat.read(path, as_version=4)) or book.cells
    monkeypatch.setattr(IPython.display, "display", shown.append)
    monkeypatch.setattr("jaxlab.training.runtime.prepare", lambda: None)  # tests have their own
    names: dict = {}
    for cell in cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    printed = capsys.readouterr().out
    assert re.search(r"Mean Pearson r: 0\.\d{4} \(95 % interval", printed)
    assert len(shown) == len(names["found"].sections) + 1
    assert "<svg" in shown[2]._repr_html_()
    assert shown[-1]["pearson"]["count"] == T - 1


class Mlflow:
    """What of it is called, as its reference has it: `MlflowClient`, and `entities` of a parameter and a metric."""

    def __init__(self):
        self.entities = SimpleNamespace(Param=lambda key, value: (key, value), Metric=lambda *four: four)
        self.params, self.metrics, self.files, self.ended = {}, [], [], []

    def MlflowClient(self, tracking_uri):
        self.uri = tracking_uri
        return self

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name):
        return name

    def create_run(self, experiment, tags, run_name):
        self.tags = tags
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def log_batch(self, run, metrics=(), params=()):
        assert len(metrics) <= 1000
        assert len(params) <= 100
        self.params |= dict(params)
        self.metrics += metrics

    def log_artifact(self, run, path):
        self.files.append(path)

    def set_terminated(self, run):
        self.ended.append(run)


def test_trackers_get_config_scores_and_page(numbered, tmp_path, monkeypatch):
    _, _, (run, _) = numbered
    mlflow = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setattr("jaxlab.report.drawing._saved", lambda *_: b"<svg></svg>")
    page = tmp_path / "page.html"
    said = invoke("report", run, "--quick", "--to", "mlflow:file:/x", "--out", page).output
    assert "MLflow run r1" in said
    assert (mlflow.uri, mlflow.files, mlflow.ended) == ("file:/x", [str(page)], ["r1"])
    assert (mlflow.params["optimizer.lr"], mlflow.params["model.type"]) == ("0.01", "ShallowCNN")
    assert ("validation/pearson", 0.5, 0, 8) in mlflow.metrics
    assert mlflow.tags["commit"] == "abc"

    logged: list = []
    tracker = SimpleNamespace(
        summary={},
        name="one",
        finish=lambda: logged.append("end"),
        log=lambda values, step: logged.append((step, values)),
    )
    monkeypatch.setitem(
        sys.modules, "wandb", SimpleNamespace(init=lambda **given: logged.append(given) or tracker)
    )
    invoke("report", run, "--quick", "--to", "wandb")
    assert logged[0]["config"]["optimizer"]["lr"] == 0.01
    steps = [entry[0] for entry in logged[1:-1]]
    assert steps == list(range(1, STEPS + 1)), "each once, in order"
    assert logged[8][1]["validation/pearson"] == 0.5
    assert logged[-1] == "end"


def test_a_tracker_that_is_not_installed_is_one_sentence(numbered, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    said = invoke("report", numbered[2][0], "--to", "mlflow", code=1).output
    assert said == 'error: --to mlflow: mlflow is not installed: pip install "jaxlab[mlflow]"\n'


def test_a_tracker_that_refuses_is_one_sentence(tmp_path, monkeypatch):
    def init(**given):
        raise ConnectionError("no route to host")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with pytest.raises(
        UserError, match=r"--to wandb: one was not sent \(ConnectionError: no route to host\)"
    ):
        exporter("wandb")(Reading(RunDirectory(tmp_path), "one"), None)
