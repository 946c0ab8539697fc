"""Pages of `jaxlab report`: their scores by numpy, their pictures, and what a browser says of them."""

import re

import numpy as np
import pytest
from browser import PROGRAM, browser
from made import STEPS, T, invoke, pearson
from PIL import Image


@pytest.fixture(scope="module")
def pages(numbered, classified, folded, tmp_path_factory):
    """A page of a regression, of classes, of two runs beside one another, and of folds; and pictures of the first."""
    folder = tmp_path_factory.mktemp("pages")
    places = folder / "places.csv"
    places.write_text("target,x,y\n" + "".join(f"n{k},{k},{k % 2}\n" for k in range(T)))
    runs = numbered[2]
    more = ("--pictures", folder / "pictures", "--coordinates", places)
    invoke("report", runs[0], "--quick", "--out", folder / "numbers.html", *more)
    invoke("report", classified[0], "--quick", "--out", folder / "classes.html")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxlab.report.results.report._IN_FULL", 1)  # of each by itself there are pages already
        invoke("report", *runs, "--quick", "--out", folder / "both.html")
    invoke("report", folded, "--quick", "--out", folder / "folds.html")
    return folder


@pytest.mark.slow  # draws many figures
def test_a_page_has_the_scores_of_the_predictions(numbered, pages):
    _, truth, (run, _) = numbered
    text = (pages / "numbers.html").read_text()
    kept = np.load(run / "predictions" / "validation.npz")
    r = pearson(kept["values"].astype(float), truth[8:].astype(float))
    assert f"Mean Pearson r: {np.nan_to_num(r).mean():.4f} (95 % interval" in text
    assert "of 16 samples that it did not learn" in text
    best = int(np.nanargmax(r))
    assert f"The best target, n{best}, in its own units: r = {r[best]:.3f}" in text
    assert "r of 1 target is undefined" in text
    assert "0.001 -&gt;" not in text
    assert "<td>optimizer.lr</td><td>0.001</td><td>0.01</td>" in text, "what differs from the defaults"
    assert f"{STEPS} of {STEPS} steps" in text
    assert len(text) < 1e6


@pytest.mark.slow
def test_pages_load_nothing_and_text_stays_text(pages):
    for page in pages.glob("*.html"):
        text = page.read_text()
        assert "http" not in re.sub(r"<meta http-equiv", "", text), page
        assert not re.search(r'(src|href)="(?!data:|#)', text), page
        assert text.count("<script") == 1, page
        assert "owned" not in text or "&lt;/script&gt;&lt;script&gt;window.owned=1" in text
    page = (pages / "classes.html").read_text()
    assert "\x1b" not in page
    row = "<td>8</td><td>2</td><td>2</td><td>Units of &lt;/script&gt;"
    assert row in page, "what was amiss while it trained: the last step, its epoch, how often"


@pytest.mark.slow
def test_pictures_are_those_of_the_page(pages):
    shown = (pages / "numbers.html").read_text().count('<svg role="img"')
    files = sorted((pages / "pictures").iterdir())
    assert len(files) == shown >= 11
    for file in files:
        assert np.asarray(Image.open(file).convert("L")).std() > 5, file
    assert {"loss", "gradient-norm", "scatter", "targets", "map"} <= {file.stem for file in files}


@pytest.mark.slow
@pytest.mark.skipif(PROGRAM is None, reason="no Chromium here")
def test_in_a_browser_pictures_are_there_nothing_is_fetched_and_nobody_complains(pages, tmp_path):
    with browser(tmp_path) as tab:
        for page in sorted(pages.glob("*.html")):
            for width in (400, 1600):
                tab.open(page, width)
                assert tab.value("document.documentElement.scrollWidth") <= width, (page, width)
            drawn = (
                "[...document.querySelectorAll('.pictures svg')].map(s => s.getBoundingClientRect().height)"
            )
            heights = tab.value(drawn)
            assert min(heights, default=0) > 50, page
            loaded = "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
            assert tab.value(loaded), page
            assert tab.value("window.owned") is None, page
        assert tab.value("document.scripts.length") == 1
        zoomed = tab.value(
            "(() => { const s = document.querySelector('.pictures svg'); const before = s.getAttribute('viewBox');"
            " s.focus(); s.dispatchEvent(new WheelEvent('wheel', {deltaY: -400, clientX: 50, cancelable: true}));"
            " const after = s.getAttribute('viewBox'); s.dispatchEvent(new MouseEvent('dblclick'));"
            " return [before, after, s.getAttribute('viewBox')]; })()"
        )
        assert zoomed[0] == zoomed[2] != zoomed[1]
        assert not [url for url in tab.asked if not url.startswith(("file:", "data:"))]
        assert not tab.said


@pytest.mark.slow
def test_classes_have_their_matrix_and_scores(classified, pages):
    _, logits, labels = classified
    text = (pages / "classes.html").read_text()
    right = (logits.argmax(1) == labels).mean()
    assert f"Accuracy: {right:.4f}" in text
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (labels, logits.argmax(1)), 1)
    cells = re.findall(r"<tr><td>([^<]*)</td><td>6</td><td>([\d.]+)</td><td>([\d.]+)</td>", text)
    assert len(cells) == 4
    recall = {"none": counts[0, 0] / 6}
    assert {name: float(value) for name, _, value in cells}["none"] == pytest.approx(recall["none"], abs=1e-3)
    assert "Best predicted" in text


@pytest.mark.slow
def test_a_study_shows_its_runs(folded, pages):
    text = (pages / "folds.html").read_text()
    assert "2 runs of the study" in text
    for fold in ("fold0", "fold1"):
        assert f"<td>{fold}</td>" in text
    assert "95 % interval of the mean" not in text, "folds share samples"
