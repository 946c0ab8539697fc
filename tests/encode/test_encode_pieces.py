"""A set that several processes make at once, which are threads here, has each row once and as it would have alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from jaxlab.core.types import UserError
from jaxlab.encode import making, pieces
from jaxlab.encode.making import Making
from jaxlab.encode.pieces import Pieces
from jaxlab.encode.store import Folder, Layer

N = 10
LAYER, OTHER = Layer("a", "none", (N, 3), "float32"), Layer("b", "none", (N, 3), "bfloat16")
VALUES = np.arange(3 * N, dtype=np.float32).reshape(N, 3)
IDS = np.array([f"i{k}" for k in range(N)])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path))
    monkeypatch.setattr("jaxlab.encode.store.FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(pieces, "ROWS", 2)
    return Folder("key")


class Process:
    """What it computes, a row at a time; killed before row `dies_at`. layers: those that it needs."""

    def __init__(self, folder: Folder, *layers: Layer, dies_at: int = -1, before=lambda row: None):
        self.folder, self.layers = folder, layers or (LAYER,)
        self._dies_at, self._before = dies_at, before
        self.computed: list[int] = []
        self.copied = 0

    def rows(self, first, stop):
        for row in range(first, stop):
            self._before(row)
            if row == self._dies_at:
                raise KeyboardInterrupt
            self.computed.append(row)
            yield np.array([row]), {layer.name: VALUES[[row]].astype(layer.dtype) for layer in self.layers}

    def make(self) -> "Process":
        with self.folder.locked(otherwise=self.help):
            if not all(self.folder.open(layer) is not None for layer in self.layers):
                with Pieces(self.folder, self.layers) as parts:
                    self.folder.fill(self.layers, IDS, {}, lambda done: parts.rows(done, self.rows))
                    parts.clear()
                self.copied = parts.copied
        for layer in self.layers:
            np.testing.assert_array_equal(self.folder.open(layer).astype(np.float32), VALUES)
        return self

    def help(self) -> bool:
        return Pieces(self.folder, self.layers).help(self.piece)

    def piece(self, piece: pieces.Piece) -> None:
        def batches(done):
            for row, values in self.rows(piece.first + done, piece.stop):
                yield row - piece.first, values

        layers = [piece.of(layer) for layer in self.layers]
        piece.folder.fill(layers, IDS[piece.first : piece.stop], {}, batches)


def test_alone_a_process_computes_all(folder):
    assert Process(folder).make().computed == list(range(N))
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "a.none.float32.npy", "ids.npy", "lock", "manifest.json", "progress.json",
    ]  # fmt: skip


def test_others_make_pieces_from_the_end(folder):
    """The first waits at row 1 until two others have found nothing more to do."""
    begun, done = threading.Event(), threading.Barrier(3, timeout=20)

    def before(row):
        begun.set()
        if row == 1:
            done.wait()

    first, *others = Process(folder, before=before), Process(folder), Process(folder)

    def helping(process: Process) -> Process:
        begun.wait(20)
        while process.help():
            pass
        done.wait()
        return process.make()

    with ThreadPoolExecutor(3) as pool:
        made = [pool.submit(first.make), *(pool.submit(helping, other) for other in others)]
        assert [one.result(30) for one in made] == [first, *others]
    assert first.computed == [0, 1]
    assert first.copied == 8
    assert sorted(others[0].computed + others[1].computed) == list(range(2, N))
    assert not (folder.path / "pieces").exists()


def test_who_waits_for_a_piece_takes_it_over_where_its_maker_is_killed(folder):
    """One has rows 8 and 9, and the maker waits for them; then it is killed at row 9."""
    waits = threading.Event()
    first = Process(folder, before=lambda row: waits.set() if row == 7 else None)
    other = Process(folder, dies_at=9, before=lambda row: row == 9 and waits.wait(20))
    with ThreadPoolExecutor(2) as pool:
        helping = pool.submit(other.help)
        while not other.computed:
            pass
        made = pool.submit(first.make)
        with pytest.raises(KeyboardInterrupt):
            helping.result(20)
        assert made.result(20).computed == list(range(N))


def test_who_is_suspended_at_a_piece_is_not_waited_for(folder, monkeypatch):
    """At row 9, until the whole is there; then what it made is of no use, and not kept."""
    monkeypatch.setattr(pieces, "PATIENCE", 0.1)
    monkeypatch.setattr(pieces, "_LOOK", 0.01)
    over = threading.Event()
    other = Process(folder, before=lambda row: row == 9 and over.wait(20))
    with ThreadPoolExecutor(1) as pool:
        helping = pool.submit(other.help)
        while not other.computed:
            pass
        assert Process(folder).make().computed == list(range(N))
        over.set()
        assert helping.result(20)
    assert not (folder.path / "pieces").exists()


def test_a_piece_that_is_made_just_before_the_maker_takes_it_is_copied(folder, monkeypatch):
    """Seen as missing, then taken, then seen as made: rows 8 and 9, whose maker has waited for that."""
    lists, helper = pieces.Piece.lists, Process(folder)

    def looked(piece, layers):
        found = lists(piece, layers)
        if piece.first == 8 and threading.current_thread() is not threading.main_thread():
            monkeypatch.setattr(pieces.Piece, "lists", lists)
            assert helper.help()
        return found

    maker = Process(folder)
    monkeypatch.setattr(pieces.Piece, "lists", looked)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(maker.make).result(20)
    assert (made.computed, made.copied) == (list(range(8)), 2)


@pytest.mark.parametrize("dies_at", [0, 3, 4, 7])
def test_killed_they_go_on_in_any_number(folder, dies_at):
    """What was done of the whole and of pieces is not done again: by one that makes it, after one more that helps."""
    helper = Process(folder)
    assert helper.help()
    assert helper.computed == [8, 9]
    with pytest.raises(KeyboardInterrupt):
        Process(folder, dies_at=7).help()
    with pytest.raises(KeyboardInterrupt):
        Process(folder, dies_at=dies_at).make()
    again = Process(folder)
    assert again.help()
    assert again.computed == [7]
    last = Process(folder).make()
    assert last.computed == list(range(dies_at, 6))


def test_a_piece_that_has_changed_is_computed_again(folder):
    assert Process(folder).help()
    (file,) = folder.path.glob("pieces/*/a.none.float32.npy")
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)
    assert Process(folder).make().computed == list(range(N))


def test_pieces_with_other_layers_stay_for_those(folder):
    assert Process(folder, LAYER, OTHER).help()
    one = Process(folder).make()
    assert (one.computed, one.copied) == (list(range(8)), 2)
    both = Process(folder, OTHER).make()
    assert (both.computed, both.copied) == (list(range(8)), 2)
    assert not (folder.path / "pieces").exists()


def test_a_large_set_has_so_many_pieces_that_their_locks_can_be_held(folder):
    many = Pieces(folder, [Layer("a", "none", (1_000_000, 1), "float32")])
    assert many._at(999_999).first == 127 * 7813


def test_who_cannot_help_says_why_once_and_waits(folder, monkeypatch, capsys):
    def refused(*_):
        raise UserError("the disk is full")

    monkeypatch.setattr(making, "run", refused)
    frozen = SimpleNamespace(digest="", weights=None)
    stimuli = SimpleNamespace(ids=IDS, checksum="")
    process = Making(SimpleNamespace(recipe=None, frozen=frozen), stimuli, folder, Console())
    assert [process.help([LAYER]), process.help([LAYER])] == [False, False]
    said = capsys.readouterr().out
    assert said.count("another process makes these features; helping, then waiting for it") == 1
    assert said.count("the disk is full; leaving them to the other process") == 1
