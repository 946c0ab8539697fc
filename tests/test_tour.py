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
def test_it_runs(tmp_path):
    """With fewer images, a smaller network and two epochs in place of ten."""
    text = TOUR.read_text()
    for whole, smaller in {
        "epochs=10,": "epochs=2,",
        "images=500, test_images=150": "images=160, test_images=60",
        "channels=(16, 32), kernel_sizes=(5, 3)": "channels=(4,), kernel_sizes=(3,)",
        'layer=\\"level2\\", dropout': 'layer=\\"level1\\", dropout',
    }.items():
        assert text.count(whole) == 1, whole
        text = text.replace(whole, smaller)
    short = tmp_path / "tour.ipynb"
    short.write_text(text)
    printed = run_notebook.printed(run_notebook.execute(short))
    assert "- 1 ids missing from the submission" in printed
    assert "weights {'seed0': " in printed
    assert "Algonauts 2023           20" in printed
    assert "submission.csv: a valid submission" in printed
    assert "fold1  step 4" in printed
