"""The memory benchmark's lessons: unlike, and never asking what was taught."""

from collections import Counter

import pytest

from sleepcycle.errors import ConfigError
from sleepcycle_study.memory import text
from sleepcycle_study.memory.lessons import lessons
from sleepcycle_study.memory.streams import STREAMS


def prompts_of(lesson):
    """Return every different prompt of a lesson."""
    rows = (*lesson.rows, *lesson.held_out, *lesson.questions)
    return {row.prompt for row in rows}


@pytest.fixture(scope="module", params=[0, 1, 2])
def drawn(request):
    """All lessons of a seed."""
    return lessons(request.param, 32)


class TestLessons:
    def test_no_prompt_is_in_two_lessons(self, drawn):
        """
        A prompt with two answers would make one lesson undo another.
        """
        counts = Counter(prompt for one in drawn for prompt in prompts_of(one))

        assert counts.most_common(1)[0][1] == 1

    def test_no_question_is_a_training_row(self, drawn):
        for lesson in drawn:
            taught = {row.prompt for row in (*lesson.rows, *lesson.held_out)}

            assert not taught & {question.prompt for question in lesson.questions}

    def test_each_prompt_has_one_answer(self, drawn):
        for lesson in drawn:
            rows = {*lesson.rows, *lesson.held_out, *lesson.questions}

            assert len(rows) == len(prompts_of(lesson)), lesson.name

    def test_every_lesson_is_as_long(self, drawn):
        sizes = {(len(x.rows), len(x.held_out), len(x.questions)) for x in drawn}

        assert len({lesson.name for lesson in drawn}) == 32
        assert sizes == {(304, 16, 40)}

    def test_fewer_lessons_are_the_first_of_all(self):
        """
        So that a longer stream holds the shorter one.
        """
        assert lessons(0, 8) == lessons(0, 32)[:8]

    def test_another_seed_has_other_content(self):
        first, second = lessons(0, 32), lessons(1, 32)

        assert [x.name for x in first] == [x.name for x in second]
        assert all(x.rows != y.rows for x, y in zip(first, second, strict=True))

    @pytest.mark.parametrize("count", [0, 33])
    def test_more_lessons_than_there_are_is_refused(self, count):
        with pytest.raises(ConfigError, match=f"expected 1 to 32 lessons, got {count}"):
            lessons(0, count)


class TestRules:
    @pytest.mark.parametrize(
        ("name", "solve"),
        [
            ("tripling", lambda w: str(3 * int(w[2]) + int(w[-1]))),
            ("parting", lambda w: str(int(w[2]) - int(w[-1]))),
            ("twinning", lambda w: str(int(w[2]) + 2 * int(w[-1]))),
            ("doubles", lambda w: 2 * w[-1]),
            ("sorts", lambda w: "".join(sorted(w[-1]))),
            ("clocks", lambda w: "{1} past {0}".format(*map(int, w[-1].split(":")))),
        ],
    )
    def test_answers_follow_the_rule(self, drawn, name, solve):
        """
        Solved again from the words of the prompt alone.
        """
        [lesson] = [lesson for lesson in drawn if lesson.name == name]

        for row in lesson.rows:
            assert row.completion == solve(row.prompt.rstrip(".?").split())

    def test_a_shift_is_undone_by_looking_one_letter_back(self, drawn):
        [lesson] = [lesson for lesson in drawn if lesson.name == "shifts"]
        letters = "abcdefghkmnprstuvwxyz"
        before = dict(zip(letters[1:] + letters[0], letters, strict=True))

        for row in lesson.rows:
            code = row.prompt.rstrip(".").split()[-1]
            assert "".join(before[letter] for letter in row.completion) == code


@pytest.mark.shared
class TestText:
    def test_no_prompt_is_in_two_lessons_or_twice_in_one(self, shared_data):
        drawn = STREAMS["text"](shared_data).draw(0, len(text.TASKS))
        rows = [row for x in drawn for row in (*x.rows, *x.held_out, *x.questions)]

        assert len({row.prompt for row in rows}) == len(rows)
        assert {len(lesson.questions) for lesson in drawn} == {text.QUESTIONS}
        assert {len(x.rows) + len(x.held_out) for x in drawn} == {text.ROWS}

    def test_every_question_has_a_label_that_was_taught(self, shared_data):
        for lesson in text.draw(shared_data, 0, len(text.TASKS)):
            taught = {row.completion for row in lesson.rows}

            assert {question.completion for question in lesson.questions} <= taught

    def test_more_tasks_than_there_are_is_refused(self, shared_data):
        with pytest.raises(ConfigError, match="expected 1 to 6 lessons of text, got 7"):
            text.draw(shared_data, 0, 7)


def test_a_stream_of_text_without_data_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"got no .*stories260K; name .* --data"):
        STREAMS["text"](tmp_path)
