"""What a pretext task showed the network, and what it made of that: the picture that training kept."""

from collections.abc import Iterator

from jaxlab.report.drawing import Picture, canvas
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.section import Section, missing
from jaxlab.runs.network.pictures import PLOT

_DPI = 120  # as the picture was drawn
WORDS = "Validation images, as the network sees them without the task, with it, and what it makes of that."


def sections(reading: Reading) -> Iterator[Section]:
    """None of a run without a task."""
    if getattr(reading.experiment, "pretext", None) is None:
        return
    path = reading.rundir.plot(PLOT)
    if not path.is_file():
        yield Section(
            "What the network is shown", missing([f"{path} is not there; training makes it at its end."])
        )
        return
    from matplotlib.image import imread  # half a second, and only pictures need it

    pixels = imread(path)
    height, width = pixels.shape[:2]
    with canvas(size=(width / _DPI, height / _DPI)) as (figure, axes):
        axes.imshow(pixels)
        axes.set_axis_off()
    yield Section("What the network is shown", (Picture(PLOT, WORDS, figure),))
