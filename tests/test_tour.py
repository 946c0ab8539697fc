"""The example notebook runs from end to end, and its committed outputs are of a run without errors."""

import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import run_notebook

TOUR = Path(__file__).parents[1] / "docs/tour.ipynb"


def test_it_is_committed_with_its_outputs():
    book = nbformat.read(TOUR, as_version=4)
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


@pytest.mark.slow
def test_it_runs(monkeypatch):
    # It trains for epochs: unlike the rest of the suite it is over sooner where XLA optimises (see conftest).
    monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS", raising=False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=4")
    printed = run_notebook.printed(run_notebook.execute(TOUR))
    assert "- 1 ids missing from the submission" in printed
    assert "weights {'seed0': " in printed
    assert "Algonauts 2023           20" in printed
    assert "submission.csv: a valid submission" in printed
    assert "fold1  step 60" in printed
