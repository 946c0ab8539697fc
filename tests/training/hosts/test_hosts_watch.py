import json
import queue
import socket
import threading
import time

import pytest
from told import Service

from jaxlab.core.types import AGAIN
from jaxlab.training.hosts.relay import Relay
from jaxlab.training.hosts.watch import Watch

QUICK = {"tick": 0.02, "silent": 0.4, "grace": 0.02}


def watches(service, count=2, **how):
    ended = queue.Queue()
    made = [
        Watch(service, k, count, **QUICK | how, end=lambda gone, k=k: ended.put((k, gone)))
        for k in range(count)
    ]
    return made, ended


def test_a_silent_process_ends_the_others():
    service = Service(2)
    (one, two), ended = watches(service)
    one.start()
    two.start()
    while one._names[1] == "process 1":
        time.sleep(0.01)
    two.stop()  # as if it had been killed
    index, gone = ended.get(timeout=20)
    assert (index, gone.code) == (0, AGAIN)
    assert gone.message.startswith("process 1 (pid ")
    assert "Run the same command again, on as many processes as there are" in gone.message


def test_one_that_ends_by_a_mistake_says_why():
    service = Service(2)
    (one, two), ended = watches(service, grace=0.5)
    one.start()
    two.start()
    teller = threading.Thread(target=two.tell, args=("the disk is full", 1))
    teller.start()
    found = one.explain(20)
    teller.join(20)
    assert not teller.is_alive()  # it waited until that was heard
    assert found.code == 1
    assert found.message.endswith("has ended: the disk is full")
    assert ended.get(timeout=20) == (0, found)


def test_those_that_part_are_not_missed():
    service = Service(2)
    made, ended = watches(service)
    for watch in made:
        watch.start()
    for watch in made:
        watch.stop()
        watch.lost_coordinator()
    assert ended.empty()
    assert [watch.gone for watch in made] == [None, None]


def test_a_coordinator_that_does_not_answer_is_no_more():
    service = Service(2)
    service.values["jaxlab-signs/0"] = json.dumps({"beat": 1, "who": "process 0 (pid 7 on a)", "ends": None})
    (_, two), ended = watches(service)
    two._look(two._signs())
    service.key_value_dir_get = lambda key: (_ for _ in ()).throw(
        RuntimeError("UNAVAILABLE: Socket closed\nmore")
    )
    two.start()
    index, gone = ended.get(timeout=20)
    assert index == 1
    assert gone.message.startswith("process 0 (pid 7 on a) is no more")
    assert gone.message.endswith("(UNAVAILABLE: Socket closed)")


def test_an_operation_that_failed_by_itself_is_not_blamed_on_others():
    service = Service(2)
    made, _ = watches(service, silent=60)
    for watch in made:
        watch.start()
    assert made[0].explain(0.3) is None
    for watch in made:
        watch.stop()


def test_the_relay_passes_everything_on_and_tells_a_broken_connection_from_one_that_was_ended_here():
    lost = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        relay = Relay(f"127.0.0.1:{server.getsockname()[1]}", lost.set)
        host, port = relay.address.split(":")
        for end_here in (True, False):
            with socket.create_connection((host, int(port)), timeout=20) as client:
                there, _ = server.accept()
                client.sendall(b"x" * 200_000)
                came = 0
                while came < 200_000:
                    came += len(there.recv(1 << 16))
                there.sendall(b"back")
                assert client.recv(4) == b"back"
                if end_here:
                    client.close()
                    while there.recv(1 << 16):
                        pass
                    assert not lost.wait(0.1)
                else:
                    there.close()
                    assert lost.wait(20)
                    client.settimeout(0.1)
                    with pytest.raises(TimeoutError):  # JAX's end stays open
                        client.recv(1)
        relay.close()


def test_a_coordinator_that_is_not_there_yet_is_asked_again():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    relay = Relay(f"127.0.0.1:{port}", lambda: None)
    host, own = relay.address.split(":")
    with socket.create_connection((host, int(own)), timeout=20) as client:
        assert client.recv(1) == b""
    relay.close()
