"""Runs in a bucket of a real server of S3's protocol, moto's, by s3fs: what the memory of fsspec cannot show."""

import threading
import urllib.request

import pytest

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install jaxlab[store]")
server = pytest.importorskip("moto.server", reason="no S3 server is installed: pip install moto[server]")

from jaxlab.core.lock import InUse  # noqa: E402
from jaxlab.core.remote import lease  # noqa: E402
from jaxlab.core.remote.mirror import Mirror  # noqa: E402
from jaxlab.core.remote.store import Store  # noqa: E402
from jaxlab.core.types import UserError  # noqa: E402


@pytest.fixture
def bucket(monkeypatch):
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
    monkeypatch.setattr(lease, "SETTLED", 0.1)
    yield "s3://bucket"
    running.stop()


def test_a_run_is_sent_and_fetched(bucket, tmp_path):
    one, other = (Mirror(f"{bucket}/runs/a", tmp_path / name / "a") for name in ("one", "other"))
    one.begin()
    step = one.local / "checkpoints/3"
    (step / "state").mkdir(parents=True)
    for name, text in (("state/data", "arrays"), ("meta.json", "{}"), ("manifest.json", "{}")):
        (step / name).write_text(text)
    with pytest.raises(InUse, match="s3://bucket/runs/a is in use: process"):
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
    with pytest.raises(UserError, match="s3://none/run: expected a bucket that exists, found none"):
        Mirror("s3://none/run", tmp_path / "run").begin()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(
        UserError, match=r"the store refuses .*: expected credentials that may read and write there"
    ):
        Mirror(f"{bucket}/run", tmp_path / "run").begin()
