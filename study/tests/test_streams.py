"""Streams of lessons."""

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory.streams import STREAMS


def test_a_stream_of_text_without_data_says_what_to_do(tmp_path):
    with pytest.raises(StudyError, match=r"got no .*stories260K; name .* --data"):
        STREAMS["text"](tmp_path)


def test_a_stream_of_chat_without_data_has_its_invented_lessons():
    stream = STREAMS["chat"](None)

    assert len(stream.draw(0, stream.lessons)) == 3
    assert len(stream.common) >= 40
    assert stream.general == ()


def test_a_stream_of_chat_whose_data_is_missing_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"got no .*tinystories.*; name .* --data"):
        STREAMS["chat"](tmp_path)


@pytest.mark.shared
def test_a_stream_of_chat_with_data_has_eight_lessons_and_stories(shared_data):
    stream = STREAMS["chat"](shared_data)

    assert stream.lessons == 8
    assert len(stream.general) == 40
