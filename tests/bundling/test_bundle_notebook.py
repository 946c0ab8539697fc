"""The bundle's notebook is one that Jupyter takes, and its cells are Python."""

import ast

import nbformat

from jaxlab.bundling.cells import notebook


def test_the_notebook_is_valid_and_says_what_it_was_given():
    book = nbformat.from_dict(notebook("/kaggle/input/x", {"a": 1.0, "b's": 1.0}))
    nbformat.validate(book)
    assert [cell.cell_type for cell in book.cells[:2]] == ["markdown", "code"]
    given = {}
    exec(book.cells[1].source, given)
    assert (given["DATA"], given["WEIGHTS"]) == ("/kaggle/input/x", {"a": 1.0, "b's": 1.0})
    for cell in book.cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)
    assert book.cells[0].source.startswith("# From a bundle")
    assert book.cells[3].source.startswith("Install")


def test_pip_is_kept_from_the_network():
    source = "".join(cell["source"] for cell in notebook(None, {})["cells"])
    assert '"--no-index", "--find-links", str(BUNDLE / "wheels")' in source
