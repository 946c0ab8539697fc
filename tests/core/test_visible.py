"""Text that a run or file of somebody else's brought along says nothing to the terminal itself.

The kind: escape sequences in what was recorded (a name, a score, a message) that would move the cursor or set a title.
"""

import pytest

from jaxlab.cli.endings import message_of
from jaxlab.core.types import UserError
from jaxlab.core.visible import from_here, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\x08c\x7f", "a\\x0db\\x08c\\x7f"),
        ("Größe\t図\n", "Größe\t図\n"),
    ],
)
def test_control_characters_are_written_out(text, shown):
    assert visible(text) == shown
    assert visible({text: [text, (text, 1)], "n": None}) == {shown: [shown, (shown, 1)], "n": None}
    assert message_of(UserError(f"x: found {text}")) == f"x: found {shown}"
    assert visible(shown) == shown


def test_paths_below_the_working_directory_are_shown_relative_to_it(tmp_path, monkeypatch):
    """A run keeps them absolute; what stands elsewhere, or only begins alike, stays as it is."""
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    for text, shown in (
        (f"{here}/data/train.csv: no such file", "data/train.csv: no such file"),
        (f"data.root: {here}/a -> '{here}/b c'", "data.root: a -> 'b c'"),
        (f"{here}: no file", ".: no file"),
        (f"{here}2/a, {here}.old/a, /copy{here}/a", f"{here}2/a, {here}.old/a, /copy{here}/a"),
    ):
        assert message_of(UserError(text)) == shown
        assert from_here({"data": [text]}) == {"data": [shown]}
    monkeypatch.chdir("/")
    assert from_here(f"{here}/data") == f"{here}/data"
