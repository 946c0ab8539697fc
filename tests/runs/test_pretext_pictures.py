"""The picture of a pretext task is of the checkpoint that the run has now."""

from types import SimpleNamespace

from jaxlab.runs.network import pictures


def test_a_picture_is_made_anew_where_training_went_on(tmp_path, monkeypatch):
    path = tmp_path / "pretext.png"
    run = SimpleNamespace(reconstruct=lambda: SimpleNamespace(columns=dict, words=list))
    monkeypatch.setattr(pictures, "NetworkRun", SimpleNamespace(load=lambda *_: run))
    monkeypatch.setattr(pictures, "images_side_by_side", lambda columns, words, path: path.write_text("now"))
    rundir = SimpleNamespace(plot=lambda name: path)
    for anew, before, after in ((False, None, "now"), (False, "then", "then"), (True, "then", "now")):
        if before is not None:
            path.write_text(before)
        pictures.keep_pictures(rundir, None, anew)
        assert path.read_text() == after
