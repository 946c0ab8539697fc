"""Execute a notebook in this Python, in the notebook's folder, and print what its cells print.

    python tools/run_notebook.py NOTEBOOK.ipynb [--write]

--write keeps the outputs in the file. The kernel is reached through files (ipc), so that no network at all will do.
Exits with 1, and the cell's traceback, where a cell fails.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs; raises CellExecutionError where a cell fails."""
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    with tempfile.TemporaryDirectory() as sockets:
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        place = {"metadata": {"path": str(path.absolute().parent)}}
        NotebookClient(book, km=kernel, timeout=600, resources=place).execute()
    return book


def printed(book: nbformat.NotebookNode) -> str:
    """What the cells wrote to their standard streams."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    return "".join(output.text for output in outputs if output.output_type == "stream")


if __name__ == "__main__":
    notebook = Path(sys.argv[1])
    executed = execute(notebook)
    print(printed(executed))
    if "--write" in sys.argv[2:]:
        nbformat.write(executed, notebook)
