"""Streams of lessons."""

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory.streams import STREAMS


def test_a_stream_of_text_without_data_says_what_to_do(tmp_path):
    with pytest.raises(StudyError, match=r"got no .*stories260K; name .* --data"):
        STREAMS["text"](tmp_path)
