"""Which runs `jaxlab runs` lists, in which order, and what it says of what is none."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_runs import CONFIG, fake_run, registry_of, some_runs, write

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.runs.registry.listing import chosen, differing, lines_of
from jaxlab.runs.registry.place import Place, place_for, place_of
from jaxlab.runs.registry.store import Registry, RegistryError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return some_runs(tmp_path)


LINES = {
    "pearson > 0.6": ["here"],
    "pearson > 0.6 and model = 'ViT'": [],
    "model <> 'ViT' AND NOT study = 'study' AND study is null": ["here", "study"],
    "optimizer.lr in (1e-3, 1e-4) and augment.1.pixels = 2": ["here", "study", "study/fold0", "there"],
    "experiment.model.depth = 18": ["study"],
    "'fold' in run or model.size == 'tiny'": ["study/fold0", "there"],
    "-1 < pearson < 1": ["here"],
    "training.keep_every = null and state = 'finished'": ["here", "there"],
}


@pytest.mark.parametrize("where", LINES)
def test_runs_are_chosen_by_an_expression(runs, where):
    lines = lines_of(registry_of(runs))
    assert sorted(line.name for line in chosen(lines, where, None)) == LINES[where]


MEANT = {
    "loss = 'Mse'": True,
    "loss < 0.6": True,
    "loss != 'Mse'": False,
    "loss not in ['Mse', 'Huber']": False,
    "loss in ['Mse', 'Huber'] and 'ab' in data": True,
    "data = 'Simulated'": True,
    "data = 'Tables'": False,
    "training.keep_every = training.early_stopping": False,  # it has neither
    "training.keep_every != training.early_stopping": True,
    "study is null and not best": True,
}


@pytest.mark.parametrize("where", MEANT)
def test_a_score_and_a_part_of_one_name_are_both_meant(runs, where):
    config = CONFIG | {"loss": {"type": "Mse"}, "data": {"type": "Simulated"}}
    line = replace(
        lines_of(registry_of(runs))[0],
        config=config,
        scores={"loss": 0.5},
        data="ab" * 32,
        study=None,
        best=None,
    )
    assert chosen([line], where, "loss") == [line] * MEANT[where]


REFUSED = {
    "__import__('os').system('true') = 1": "names of scores and fields",
    "pearson >": "a comparison",
    "(lambda: 1) = 1": "names of scores",
    "[x for x in (1,)] = 1": "names of scores",
    "pearsen > 1": "no run has 'pearsen'; nearest: pearson",
    "lr = 1": "nearest: optimizer.lr",
    "(" * 1900: "a comparison",
    "pearson + 1 > 2": "names of scores",
    "a" * 3000: "at most 2000",
    "f'{pearson}' = 1": "names of scores",
}


@pytest.mark.parametrize("where", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_expression_is_refused(runs, where):
    lines = lines_of(registry_of(runs))
    with pytest.raises(UserError, match=REFUSED[where]):
        chosen(lines, where, None)


def test_fields_that_differ_and_the_best_first(runs):
    lines = [line for line in lines_of(registry_of(runs)) if line.study is None]
    differs = differing(lines)
    assert differs["there"] == {"model": "ViT", "model.size": "tiny"}
    assert differs["here"] == {"model": "ResNet", "model.depth": 18}
    assert chosen(lines, None, "pearson")[0].name == "here"
    better = [replace(lines[0], name=name, scores={"loss": loss}) for name, loss in (("a", 0.2), ("b", 0.1))]
    assert [line.name for line in chosen(better, None, "loss")] == ["b", "a"]


def test_the_command_lists_and_says_what_is_wrong(runs, monkeypatch):
    monkeypatch.chdir(runs)

    def said(*arguments: str) -> tuple[int, str]:
        found = CliRunner().invoke(main, arguments)
        return found.exit_code, found.output

    code, text = said("runs", ".", "--json", "--where", "pearson > 0.6")
    (one,) = json.loads(text)
    assert (code, one["name"], one["score"], one["best"]) == (0, "here", 0.7, 8)
    code, text = said("runs", ".")
    assert re.search(r"^here +finished +3/3 +pearson 0.7000 abababab", text, re.MULTILINE)
    assert re.search(r"^study .*\n  fold0 +stopped 33%", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80
    assert "nothing there" in said("runs", "nowhere")[1]
    assert "nothing there" in said("evaluate", "--pending", "nowhere")[1]
    assert "found a file" in said("evaluate", "--pending", "here/config.json")[1]
    assert "expected no --details" in said("evaluate", "--pending", ".", "--details")[1]
    assert "expected --pending" in said("evaluate", ".", "--watch")[1]
    assert "Missing argument 'RUN'" in said("evaluate")[1]
    assert "expected a URL" in said("runs", ".", "--registry", "mysql:/x")[1]
    monkeypatch.setenv("JAXLAB_REGISTRY", "off")
    assert "expected a registry" in said("evaluate", "--pending", ".")[1]
    assert '"here"' in said("runs", ".", "--json")[1], "of the run directories alone"


def test_a_registry_lies_beside_the_outermost_run(runs):
    assert place_for(runs / "study/fold0") == place_for(runs / "here") == place_of(runs)
    assert "***" in str(Place("postgresql+psycopg://me:secret@host/db"))
    assert "secret" not in str(Place("postgresql+psycopg://me:secret@host/db"))
    with pytest.raises(RegistryError, match=r"what stands behind the host's : is no port"):
        Registry(Place("postgresql+psycopg://me:secret/db"))
    with pytest.raises(RegistryError, match=r"pip install|expected a database"):
        Registry(Place("postgresql+nothing://me:secret@host/db"))


def test_a_strangers_number_of_epochs_is_not_shown(runs):
    config = CONFIG | {"training": {"type": "Training", "epochs": "many"}}
    write(runs / "here/config.json", {"schema": 1, "experiment": config})
    found = CliRunner().invoke(main, ["runs", str(runs)])
    assert re.search(r"^here +finished +3 +pearson", found.output, re.MULTILINE), found.output


def test_a_study_of_studies_has_the_epochs_of_what_it_trains(tmp_path):
    folds = {"type": "Folds", "experiment": CONFIG, "folds": 2}
    fake_run(tmp_path / "seeds", config={"type": "Seeds", "experiment": folds, "seeds": 2})
    (line,) = lines_of(registry_of(tmp_path))
    assert line.epochs == 3
    assert chosen([line], "model.depth = 18", None) == [line]
