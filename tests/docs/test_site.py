"""The site is built without a warning, its links lead somewhere, and what it shows a name as is what the name is."""

import importlib
import inspect
import re
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import pytest
from pages import PAGES, ROOT, examples

import jaxlab.cli.main
import submit.cli.main
from jaxlab.core.config import Component

MODULES = (
    "jaxlab", "submit", "submit.ensemble", "submit.metrics", "submit.ceilings", "submit.bootstrap", "submit.provenance",
    "submit.algonauts", "submit.algonauts2021", "submit.vqa_results",
    "submit.vizwiz_results", "submit.sensorium",
)  # fmt: skip


def public() -> dict[str, Any]:
    """{dotted name: function or class} of what is public, each once; components have pages of their own."""
    found: dict[str, Any] = {}
    for home in MODULES:
        module = importlib.import_module(home)
        for name in getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]:
            thing = getattr(module, name)
            ours = getattr(thing, "__module__", "").startswith(("jaxlab", "submit"))
            here = hasattr(module, "__all__") or getattr(thing, "__module__", "") == module.__name__
            component = inspect.isclass(thing) and issubclass(thing, Component)
            if callable(thing) and ours and here and not component and thing not in found.values():
                found[f"{home}.{name}"] = thing
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site. `make docs` and the tests need what `pip install '.[docs]'` brings."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", out / "doctrees", ROOT / "docs", out / "html"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


@pytest.fixture(scope="module")
def inventory(site):
    """{dotted name: what the site shows it as}."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, uri: uri)
    roles = {"py:function": "function", "py:class": "class", "py:exception": "class", "py:method": "method",
             "py:property": "property", "py:data": "data", "py:attribute": "attribute"}  # fmt: skip
    return {name: shown for role, shown in roles.items() for name in found.get(role, {})}


@pytest.mark.slow
def test_every_public_name_is_there(inventory):
    shown = {path.rpartition(".")[2] for path in inventory}
    assert {"Predictions", "train", "signal_share", "VQAScores"} <= shown
    assert [name for name in public() if name not in inventory] == []


@pytest.mark.slow
def test_a_name_is_shown_as_what_it_is(inventory):
    """A property with brackets behind it, or an attribute that there is none of, would be a wrong kind here."""
    wrong = {}
    for name, shown in inventory.items():
        kind = actual(name)
        if kind != shown:
            wrong[name] = (shown, kind)
    assert wrong == {}
    assert inventory["submit.Scores.mean"] == "property"
    assert inventory["submit.Scores.to_dict"] == "method"


@pytest.mark.slow
def test_what_nobody_can_make_is_shown_without_a_constructor(site):
    """And the attributes that its docstring speaks of stand in a list."""
    text = (site / "reference/jaxlab.html").read_text()
    heading, about = re.search(r'<dt[^>]*id="jaxlab\.Run">(.*?)</dt>(.*?)<dl', text, re.DOTALL).groups()
    assert "rundir" not in heading
    listed = re.findall(r"<li><p><code[^>]*>(.*?)</code>", about)
    assert [re.sub(r"<[^>]+>", "", name) for name in listed] == [
        "rundir",
        "experiment",
        "info",
        "predicts",
        "usual",
        "like",
    ]
    assert 'id="jaxlab.load">' in text
    assert "path" in re.search(r'<dt[^>]*id="jaxlab\.load">(.*?)</dt>', text, re.DOTALL)[1]


def actual(name: str) -> str:
    home = next(m for m in sorted(MODULES, key=len, reverse=True) if name.startswith(m + "."))
    owner: Any = importlib.import_module(home)
    *path, last = name.removeprefix(home + ".").split(".")
    for part in path:
        owner = getattr(owner, part)
    thing = inspect.getattr_static(owner, last) if path else getattr(owner, last)
    if isinstance(thing, property | cached_property):
        return "property"
    if inspect.isclass(thing):
        return "class"
    return "method" if path and not isinstance(thing, str) else "function" if callable(thing) else "data"


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(site):
    pages = {page: page.read_text() for page in site.rglob("*.html") if "_static" not in page.parts}
    anchors = {page: set(re.findall(r'\bid="([^"]+)"', text)) for page, text in pages.items()}
    broken = []
    for page, text in pages.items():
        for link in re.findall(r'href="([^":]+)"', text):
            path, _, anchor = re.sub(r"\?[^#]*", "", link).partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and target in anchors and anchor not in anchors[target]):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert broken == []


@pytest.mark.slow
def test_every_command_and_option_is_there(site):
    text = re.sub(r"<[^>]+>", "", (site / "reference/commands.html").read_text())
    for main in (jaxlab.cli.main.main, submit.cli.main.main):
        for command in leaves(main):
            for parameter in command.params:
                if isinstance(parameter, click.Option) and not parameter.hidden:
                    assert parameter.opts[0] in text, (command.name, parameter.opts)


def leaves(command: click.Command) -> list[click.Command]:
    inside = command.commands.values() if isinstance(command, click.Group) else []
    return [leaf for one in inside for leaf in leaves(one)] or [command]


def test_every_public_function_is_called_in_an_example():
    code = "\n".join(example.text for page in PAGES for example in examples(page, "python"))
    called = {name for name in public() if re.search(rf"\b{re.escape(name)}\b", code)}
    results = {
        "ClassScores",
        "Scores",
        "Combination",
        "Interval",
        "Kept",
        "Reliability",
        "Trials",
        "VQAScores",
        "Run",
    }  # returned
    lacking = {name for name in public() if name not in called and name.rpartition(".")[2] not in results}
    assert lacking == {"jaxlab.bundle", "jaxlab.join"}  # one fetches wheels, one waits for other processes


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_in_the_sources_lead_somewhere(page):
    made = {"components", "_made"}
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        target = Path(page.parent / link).resolve()
        assert target.exists() or target.parent.name in made, link
