"""A PostgreSQL server for a test, as another user where this one is root, whom it would refuse."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PLACES = ("/usr/local/bin", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/bin")


def _binary(name: str) -> str | None:
    found = shutil.which(name)
    return found or next(
        (str(one) for place in _PLACES for one in Path("/").glob(f"{place[1:]}/{name}")), None
    )


BINARIES = {name: _binary(name) for name in ("initdb", "postgres")}
PRESENT = all(BINARIES.values())


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Its URL for SQLAlchemy, while the block runs."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="postgres") as folder:
        user = {"user": "nobody"} if os.geteuid() == 0 else {}
        shutil.chown(folder, **({"user": "nobody"} if user else {"user": os.geteuid()}))
        data = f"{folder}/data"
        common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **user}
        made = [
            BINARIES["initdb"],
            "-D",
            data,
            "-U",
            "test",
            "--no-sync",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(made, check=True, **common)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ("-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F")
        process = subprocess.Popen([BINARIES["postgres"], "-D", data, *options], **common)
        try:
            yield f"postgresql+psycopg://test@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(20)
