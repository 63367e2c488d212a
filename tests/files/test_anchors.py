"""Anchors: both forms of the file, and what is refused."""

import pytest

from sleepcycle.errors import ConfigError
from sleepcycle.files.anchors import find_anchors, read_anchors
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Example
from sleepcycle.settings.config import GateSettings

PLAIN = """\
# what the house must not forget
Q: Who keeps the key?
A: Ana Lopez

q:  When does the gate close?
a:At ten.
"""
ROWS = """\
{"prompt": "Who keeps the key?", "completion": " Ana Lopez"}

{"completion": "At ten.", "prompt": "When does the gate close?"}
"""


@pytest.fixture
def written(tmp_path):
    """A file of anchors."""

    def write(text):
        file = tmp_path / "anchors.txt"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def test_questions_stand_above_their_answers(written):
    assert read_anchors(written(PLAIN)) == [
        Example(2, 0, Completion("Who keeps the key?", "Ana Lopez")),
        Example(5, 0, Completion("When does the gate close?", "At ten.")),
    ]


def test_rows_are_taken_as_they_are(written):
    assert [one.content for one in read_anchors(written(ROWS))] == [
        Completion("Who keeps the key?", " Ana Lopez"),
        Completion("When does the gate close?", "At ten."),
    ]


def test_a_byte_order_mark_is_no_part_of_a_question(written):
    assert len(read_anchors(written("\ufeff" + PLAIN))) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "got no line", id="empty"),
        pytest.param("# none yet\n\n", "got no line", id="comments alone"),
        pytest.param("Who?\nAna\n", r"got 'Who\?' in line 1", id="no marks"),
        pytest.param("Q: Who?\n", r"got '' in line 1", id="no answer"),
        pytest.param(
            "Q: Who?\nQ: When?\nA: Now.", r"got 'Q: When\?' in line 2", id="two asked"
        ),
        pytest.param("Q:\nA: Now.", "got 'Q:' in line 1", id="nothing asked"),
        pytest.param("Q: Who?\nA: \n", "got 'A:' in line 2", id="nothing said"),
        pytest.param('{"prompt": "Who?"', "in line 1", id="no JSON"),
        pytest.param('{"prompt": "Who?"}', "in line 1", id="a key is missing"),
        pytest.param('{"prompt": "", "completion": "a"}', "in line 1", id="no text"),
        pytest.param('{"prompt": 3, "completion": "a"}', "in line 1", id="a number"),
        pytest.param(ROWS + "[]", r"got '\[\]' in line 4", id="a list"),
        pytest.param(b"Q: Who\xff?\n", "as UTF-8", id="no UTF-8"),
    ],
)
def test_what_is_no_anchor_is_refused_with_its_line(written, text, reason):
    with pytest.raises(ConfigError, match=reason):
        read_anchors(written(text))


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gate\.anchors in .*none\.txt"):
        read_anchors(tmp_path / "none.txt")


def test_a_path_begins_at_the_home(written):
    file = written(PLAIN)
    paths = HomePaths(file.parent)

    assert len(find_anchors(paths, GateSettings(anchors=file.name))) == 2
    assert len(find_anchors(paths, GateSettings(anchors=str(file)))) == 2
    assert find_anchors(paths, GateSettings()) == []
