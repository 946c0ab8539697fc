"""The pages that list things list all of them: configs with the scores of their headers, files of a run directory."""

import re

import pytest
from pages import ROOT

CONFIGS = sorted((ROOT / "configs").glob("*.py"))
LISTED = (ROOT / "docs/reference/configs.md").read_text()
_SCORE = re.compile(r"0\.\d{3}")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_listed_with_the_scores_at_its_top(config):
    header = config.read_text().split('"""')[1]
    rows = [line for line in LISTED.splitlines() if line.startswith(f"| `{config.stem}`")]
    if not rows:
        unmeasured = LISTED.partition("Not measured yet:")[2]
        assert f"`{config.stem}`" in unmeasured
        assert "Not measured yet." in header
        return
    scores = _SCORE.findall(rows[0])
    assert scores
    assert set(scores) <= set(_SCORE.findall(header))


@pytest.mark.parametrize("front", ["README.md", "docs/index.md"])
def test_the_front_doors_lead_to_every_guide(front):
    """Whoever looks for one system of many looks here first."""
    text = (ROOT / front).read_text()
    guides = {path.name for path in (ROOT / "docs/howto").glob("*.md")} - {"index.md"}
    assert {name for name in guides if f"howto/{name})" not in text} == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["trained", "folded"])
def test_every_file_of_a_run_is_on_its_page(request, kind):
    page = (ROOT / "docs/reference/runs.md").read_text()
    for path in request.getfixturevalue(kind).rglob("*"):
        names = path.relative_to(request.getfixturevalue(kind)).parts
        top = names[1] if re.fullmatch(r"fold\d", names[0]) and len(names) > 1 else names[0]
        assert f"`{top}" in page, path
    for name in ("meta.json", "manifest.json", "state/", "curves.png", "folds.png", "bands.png"):
        assert f"`{name}`" in page
