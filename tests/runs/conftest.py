"""What tests of searches start from."""

import pytest
from fake_search import instead, search, settings


@pytest.fixture
def fake(monkeypatch):
    return instead(monkeypatch)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The settings of a search whose worker lived."""
    with pytest.MonkeyPatch.context() as patch:
        instead(patch)
        run = tmp_path_factory.mktemp("undisturbed") / "run"
        search(run)
    return settings(run)
