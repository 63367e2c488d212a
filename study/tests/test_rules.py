"""Rules to be found: answers follow them."""

import pytest

from sleepcycle_study.memory.lessons import lessons


@pytest.fixture(scope="module", params=[0, 1, 2])
def drawn(request):
    """All lessons of a seed."""
    return lessons(request.param, 32)


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
def test_answers_follow_the_rule(drawn, name, solve):
    """
    Solved again from the words of the prompt alone.
    """
    [lesson] = [lesson for lesson in drawn if lesson.name == name]

    for row in lesson.rows:
        assert row.completion == solve(row.prompt.rstrip(".?").split())


def test_a_shift_is_undone_by_looking_one_letter_back(drawn):
    [lesson] = [lesson for lesson in drawn if lesson.name == "shifts"]
    letters = "abcdefghkmnprstuvwxyz"
    before = dict(zip(letters[1:] + letters[0], letters, strict=True))

    for row in lesson.rows:
        code = row.prompt.rstrip(".").split()[-1]
        assert "".join(before[letter] for letter in row.completion) == code
