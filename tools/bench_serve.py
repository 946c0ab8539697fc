"""A served run under load: many at once, broken images among them, uploads that are too large; and its memory.

python tools/bench_serve.py RUN IMAGES [--requests 200] [--large 20]

Starts `jaxlab serve RUN` and sends images of the folder IMAGES: one after another; all at once, of which every tenth is
broken; and, while others are predicted, uploads of 100 MB. Each answer is compared with that to the same image sent
alone. Linux: memory is read from /proc. Exits with 1 where an answer is lost, wrong or unclear, or memory grew.
"""

import argparse
import http.client
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

LARGE = 100_000_000
GROWN = 0.5  # GB, of a server's memory under load, which is too much


class Server:
    """`jaxlab serve`, and what is asked of it."""

    def __init__(self, run: str, options: list[str]):
        command = [sys.executable, "-m", "jaxlab", "serve", run, "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            print(line, end="")
            if "http://" in line:
                self.port = int(line.rsplit(":", 1)[1])
                break
        else:
            raise SystemExit("it did not start")

    def ask(self, body: Any, length: int | None = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON; where all are busy, again after as long as it says."""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            headers = {"content-type": "application/octet-stream"}
            if length is not None:
                headers["content-length"] = str(length)
            connection.request("POST", "/predict", body, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
            connection.close()
            if answer.status != 503:
                return answer.status, found
            time.sleep(float(answer.headers["retry-after"]))

    def memory(self) -> float:
        """GB that it has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(status.split("VmRSS:")[1].split()[0]) / 1e6

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Highest:
    """The highest memory of a server while it is looked at."""

    def __init__(self, server: Server):
        self.value, self._server, self._over = server.memory(), server, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.value = max(self.value, self._server.memory())

    def __enter__(self) -> "Highest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def values(found: dict[str, Any]) -> list[float]:
    """Of the one image of an answer."""
    (one,) = found["images"]
    return list(one["values"].values()) if "values" in one else [each["probability"] for each in one["top"]]


def agrees(answer: tuple[int, dict[str, Any]], expected: list[float]) -> bool:
    status, found = answer
    return status == 200 and np.allclose(values(found), expected, rtol=1e-3, atol=1e-4)


def chunks(total: int) -> Any:
    """As many bytes, a megabyte at a time."""
    return itertools.repeat(bytes(1_000_000), total // 1_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("images", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--large", type=int, default=20)
    parser.add_argument("options", nargs="*", help="of jaxlab serve, after --")
    given = parser.parse_args()
    files = [path.read_bytes() for path in sorted(given.images.iterdir())[: given.requests]]
    server, faults = Server(given.run, given.options), list[str]()
    try:
        first = server.memory()
        start = time.perf_counter()
        alone = [values(server.ask(file)[1]) for file in files]
        one_by_one = len(files) / (time.perf_counter() - start)
        print(
            f"one after another: {one_by_one:.0f} images a second; memory {server.memory():.2f} GB ({first:.2f})"
        )

        sent = [(k, b"broken" if k % 10 == 9 else files[k % len(files)]) for k in range(given.requests)]
        with Highest(server) as highest, ThreadPoolExecutor(given.requests) as pool:
            start = time.perf_counter()
            answers = list(pool.map(lambda one: server.ask(one[1]), sent))
            at_once = len(sent) / (time.perf_counter() - start)
        for (k, _), answer in zip(sent, answers, strict=True):
            if k % 10 == 9:
                if answer[0] != 422 or "not an image" not in answer[1]["images"][0]["error"]:
                    faults.append(f"broken image {k}: {answer}")
            elif not agrees(answer, alone[k % len(files)]):
                faults.append(f"image {k}: {answer}")
        print(f"{given.requests} at once: {at_once:.0f} images a second, {at_once / one_by_one:.1f} times as many; "
              f"{dict(Counter(status for status, _ in answers))}; memory up to {highest.value:.2f} GB")  # fmt: skip

        with Highest(server) as under, ThreadPoolExecutor(given.large + 8) as pool:
            declared = [pool.submit(server.ask, chunks(LARGE), LARGE) for _ in range(given.large // 2)]
            chunked = [pool.submit(server.ask, chunks(LARGE)) for _ in range(given.large - given.large // 2)]
            beside = [pool.submit(server.ask, file) for file in files[:50]]
            refused = Counter(one.result()[0] for one in declared + chunked)
            answers = [one.result() for one in beside]
        wrong = [k for k, answer in enumerate(answers) if not agrees(answer, alone[k])]
        print(
            f"{given.large} uploads of 100 MB: {dict(refused)}, beside them {len(answers)} images, {len(wrong)} wrong; "
            f"memory up to {under.value:.2f} GB"
        )
        if set(refused) != {413} or wrong:
            faults.append(f"large uploads: {refused}; beside them {[answers[k] for k in wrong]}")
        if max(highest.value, under.value) > first + GROWN:
            faults.append(f"memory grew from {first:.2f} to {max(highest.value, under.value):.2f} GB")
    finally:
        code = server.end()
    print(f"ended with {code}")
    print("\n".join(faults[:10]) or "nothing lost, every answer right")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
