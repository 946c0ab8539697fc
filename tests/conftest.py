"""What every test starts from: four CPU devices, compiled programs kept between runs, no implicit rank promotion.

No NaN leaves a compiled function that a test does not ask for, and every call is held to the shapes in its signature.
XLA compiles quickly and not well: most of the suite is compilation, and what LLVM makes of a kernel is XLA's business.
Python looks for garbage seldom: a traced network is millions of objects, of which few are garbage.
`make test-all` lets it optimise as it does for users, and runs what is marked `exhaustive` too.
"""

import gc
import os
from pathlib import Path

gc.set_threshold(100_000, 10, 10)
_ALL = os.environ.get("JAXLAB_TEST_ALL") == "1"
_FLAGS = ["--xla_force_host_platform_device_count=4"]
if not _ALL:  # a third of the seconds: kernels in an older form, in one part, without most of LLVM's passes
    _FLAGS += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
for _flag in _FLAGS:
    if _flag.partition("=")[0] not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_flag}".strip()
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "jaxlab"
os.environ.setdefault("JAXLAB_CACHE", str(_CACHE))  # subprocesses inherit all of this
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")  # of each operation, for profilers alone
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
os.environ.setdefault("JAX_DEBUG_NANS", "True")  # tests of NaN itself take the fixture `nans_allowed`

import executables  # noqa: E402
import hypothesis  # noqa: E402
import jaxtyping  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import signatures  # noqa: E402
import unpainted  # noqa: E402

executables.share()
signatures.enforce()  # before anything of jaxlab or submit is imported


def pytest_collection_modifyitems(config, items):
    if _ALL:
        return
    left = [item for item in items if item.get_closest_marker("exhaustive")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def pytest_collection_finish(session):
    """Modules and tests stay, and are not looked through again."""
    gc.collect()
    gc.freeze()


# The same examples each time, so that a commit passes or fails for good; a busy machine is no fault of the code.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def unpainted_figures():
    """What paints figures; in its place they are written as a pixel, without a third of a second for each training."""
    from jaxlab.core import plots

    paint = plots.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save", unpainted.save)
        yield paint


@pytest.fixture
def painted_figures(unpainted_figures, monkeypatch):
    """For tests that look at a figure of a run."""
    monkeypatch.setattr("jaxlab.core.plots.save", unpainted_figures)


@pytest.fixture
def signatures_off():
    """For tests that pass what a signature forbids, to see what the code itself says of it."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def nans_allowed():
    """For tests of NaN itself: JAX 0.7 looks for them in what is only copied or cast, too."""
    import jax

    with jax.debug_nans(False):
        yield


@pytest.fixture(scope="session")
def arrays_npz(tmp_path_factory):
    """44 images of 16 x 16 x 3 uint8 with 5 targets that depend on them, and 7 test images."""
    path = tmp_path_factory.mktemp("arrays") / "arrays.npz"
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (51, 16, 16, 3), dtype=np.uint8)
    pooled = images.reshape(51, 4, 4, 4, 4, 3).mean((2, 4)).reshape(51, -1) / 255 - 0.5
    targets = 10 + 5 * pooled @ rng.normal(size=(48, 5)) + rng.normal(size=(51, 5))
    np.savez(path, images=images[:44], targets=targets[:44].astype(np.float32), test_images=images[44:])
    return path


@pytest.fixture(scope="session")
def trained(arrays_npz, tmp_path_factory):
    """The run directory of `tiny_config`, trained to its end; read it, never write to it."""
    from tiny import trained_run

    return trained_run(arrays_npz, tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture(scope="session")
def folded(arrays_npz, tmp_path_factory):
    """The run directory of `tiny_config` in two folds of 22 samples; read it, never write to it."""
    from tiny import folded_run

    return folded_run(arrays_npz, tmp_path_factory.mktemp("folded") / "run")


@pytest.fixture(scope="session")
def pooled_folders(tmp_path_factory):
    """Three Kaggle folders, `pooled_folders.py` says which; read them, never write to them."""
    import pooled_folders

    return pooled_folders.write(tmp_path_factory.mktemp("pooled"))


@pytest.fixture(scope="session")
def pooled(pooled_folders, tmp_path_factory):
    """The run directory of a tiny network on these three, in two folds; read it, never write to it."""
    from tiny import pooled_run

    return pooled_run(pooled_folders, tmp_path_factory.mktemp("pooled_run") / "run")
