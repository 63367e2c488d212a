"""What a seed teaches and asks."""

import json

import pytest

from sleepcycle.curricula.curriculum import builtin, builtins, read_curriculum
from sleepcycle.errors import ConfigError
from sleepcycle.records.content import Completion
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.teaching import draw, render, rows
from tests.curricula.conftest import FORM, HEAD

FOUR = builtin("four_phases")


def course(seed=42, **changes):
    """Draw a small course."""
    return draw(
        FOUR, **{"seed": seed, "questions": 5, "samples_scale": 0.02, **changes}
    )


def texts(drawn):
    """Return all that is taught, by phase."""
    return {
        taught.phase.name: [example.content for example in taught.examples]
        for taught in drawn.phases
    }


def test_a_phase_has_its_share_of_items():
    assert [len(taught) for taught in texts(course()).values()] == [40, 30, 30, 20]


def test_the_same_seed_draws_the_same():
    assert texts(course()) == texts(course())
    assert course().questions == course().questions
    assert texts(course()) != texts(course(seed=43))


def test_examples_are_told_apart():
    ids = [example.id for taught in course().phases for example in taught.examples]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("seed", range(5))
def test_nothing_that_is_asked_is_taught(seed):
    drawn = course(seed, samples_scale=1.0)
    taught = {
        content.prompt.split(": ")[-1].removesuffix(" =")
        for contents in texts(drawn).values()
        for content in contents
    }

    assert not taught & {question.key for question in drawn.questions["arithmetic"]}


@pytest.mark.parametrize("name", ["four_phases", "logic", "code"])
def test_some_items_are_held_out_of_every_kind(name):
    drawn = draw(builtin(name), seed=1, questions=5, samples_scale=0.1)

    for phase in drawn.phases:
        taught = {example.content for example in phase.examples}
        assert len(phase.held_out) == 16
        assert not taught & {example.content for example in phase.held_out}


def test_a_table_that_is_taught_whole_has_nothing_to_hold_out():
    """
    What it does not have could be, and would stand for what it has.
    """
    drawn = draw(builtin("facts"), seed=1, questions=5)

    assert [phase.held_out for phase in drawn.phases] == [()] * 4


def test_lessons_are_in_the_language_that_is_asked_for():
    prompts = [content.prompt for content in texts(course(language="it"))["foundation"]]

    assert all(prompt.startswith("Calcola: ") for prompt in prompts)


@pytest.mark.parametrize("name", builtins())
def test_every_curriculum_can_be_fed(name):
    for source, lines in rows(builtin(name), seed=1):
        first = json.loads(lines[0])
        assert source
        assert isinstance(first, (dict, list))


def test_a_phase_with_rows_of_its_own_is_for_the_service(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\n[[phases]]\nname = "a"\nfile = "a.jsonl"\n')

    with pytest.raises(StudyError, match=r"expected every phase .* to have a domain"):
        draw(read_curriculum(path), seed=1, questions=1)


def test_what_is_taught_is_a_completion():
    assert all(
        isinstance(content, Completion)
        for contents in texts(course()).values()
        for content in contents
    )


class TestRendering:
    def test_the_first_form_that_fits_is_taken(self, read):
        forms = "".join(
            f'[[phases.forms]]\nprompt = "p"\nanswer = "{answer}"\n{more}\n'
            for answer, more in (
                ("italian", 'language = "it"'),
                ("hard", 'when = "hard"'),
                ("any", ""),
            )
        )
        [phase] = read(f'{HEAD}domain = "logic"\n{forms}').phases

        assert render(phase, {}, "hard", "en").completion == "hard"
        assert render(phase, {}, "simple", "en").completion == "any"
        assert render(phase, {}, "hard", "it").completion == "italian"

    def test_what_fills_a_place_is_not_filled_again(self, read):
        [phase] = read(HEAD + FORM.replace("!", "{{x}}")).phases

        content = render(phase, {"word": "{y}", "more": "z"}, "", "en")

        assert content == Completion("Say {y}", "{y}{x}")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"wort": "a"}, r"among wort, got \{word\}; did you mean \{wort\}\?"),
            ({"zzz": "a"}, r"among zzz, got \{word\}; take another"),
        ],
    )
    def test_a_place_that_an_item_cannot_fill_is_refused(self, read, fields, message):
        [phase] = read(HEAD + FORM).phases

        where = r"mine\.toml: phases\.first\.forms\.1\.prompt: expected places "
        with pytest.raises(ConfigError, match=where + message):
            render(phase, fields, "", "en")

    @pytest.mark.parametrize(("when", "language"), [("", "it"), ("simple", "en")])
    def test_an_item_that_no_form_fits_is_refused(self, read, when, language):
        [phase] = read(HEAD + FORM + 'when = "hard"\n').phases

        where = rf'mine\.toml: phases\.first\.forms: .* language "{language}" and when '
        with pytest.raises(ConfigError, match=rf'{where}"{when}", got .*; add one'):
            render(phase, {"word": "a"}, when, language)

    def test_a_phase_without_forms_says_so(self, read):
        with pytest.raises(ConfigError, match="got no form at all; add one"):
            render(read(HEAD).phases[0], {}, "", "en")
