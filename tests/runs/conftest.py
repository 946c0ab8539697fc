"""What tests of searches, and of databases, start from."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg
import pytest
from fake_search import instead, search, settings


@pytest.fixture
def fake(monkeypatch):
    return instead(monkeypatch)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The settings of a search whose worker lived."""
    with pytest.MonkeyPatch.context() as patch:
        instead(patch)
        run = tmp_path_factory.mktemp("undisturbed") / "run"
        search(run)
    return settings(run)


@pytest.fixture(scope="session")
def postgres():
    """The URL of a database server that is there for these tests alone."""
    programs = [shutil.which(name) for name in ("initdb", "postgres")]
    if None in programs:
        pytest.skip("PostgreSQL is not installed")
    as_user = {"user": "nobody"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # short: a socket's path has 107 letters at most
        if as_user:
            shutil.chown(folder, **as_user)
        run = {"cwd": folder, "stdout": subprocess.DEVNULL, **as_user}
        subprocess.run(
            [programs[0], "-D", f"{folder}/data", "-A", "trust", "-U", "me", "--no-sync"], check=True, **run
        )
        alone = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={folder}"]
        with subprocess.Popen(
            [programs[1], "-D", f"{folder}/data", *alone], stderr=subprocess.DEVNULL, **run
        ) as server:
            url = f"postgresql://me@/postgres?host={folder}"
            try:
                for _ in range(200):
                    try:
                        psycopg.connect(url).close()
                        break
                    except psycopg.OperationalError:
                        time.sleep(0.05)
                yield url
            finally:
                server.send_signal(signal.SIGQUIT)
