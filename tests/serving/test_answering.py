"""Answers of versions that are written side by side in one process."""

import pytest

from sleepcycle.files.sealed import seal
from sleepcycle.home.inference import ask as ask_alone
from sleepcycle.model.portable import write_portable
from sleepcycle.records.content import Conversation, Message, Role, canonical_json
from sleepcycle.serving.answering import Answering
from sleepcycle.serving.messages import AnswerRefused, Ask, Begun, Ended, Reason, Said
from tests.model.conftest import load as load
from tests.model.conftest import nano as nano
from tests.model.conftest import random_changes as random_changes

QUESTIONS = ("What is the capital of France?", "Hi", "Name three colours, please.")
MOST = 12


class Desk:
    """Asks, and takes what is told."""

    def __init__(self, base, most_versions=4):
        self.told = {}
        self.answering = Answering(base, most_versions, self._take)

    def ask(self, id_, question, version="v0", folder=None, **more):
        """Ask a version a question."""
        said = Conversation((Message(Role.USER, question),))
        fields = {"temperature": 0.0, "most": MOST} | more
        self.answering.ask(
            Ask(
                id=id_,
                version=version,
                folder=folder and str(folder),
                content=canonical_json(said),
                is_chat=True,
                **fields,
            )
        )

    def finish(self):
        """Write all that is asked."""
        while self.answering.is_busy:
            self.answering.step()

    def text(self, id_):
        """Return an answer that is over."""
        lines = self.told[id_]
        assert isinstance(lines[0], Begun)
        assert isinstance(lines[-1], Ended)
        return "".join(line.text for line in lines[1:])

    def _take(self, line):
        self.told.setdefault(line.id, []).append(line)


@pytest.fixture
def versions(nano, random_changes, tmp_path):
    """The folders of two sealed versions that say different things."""
    folders = {}
    for name in ("v1", "v2"):
        change = random_changes(nano.targets, size=0.2)
        write_portable(tmp_path / name, change, nano.identity, nano.targets)
        folders[name] = seal(tmp_path / name, tmp_path, name)
    return {"v0": None, **folders}


def over(told):
    """Return whether an answer has ended."""
    return isinstance(told[-1], Ended)


def alone(base, folder):
    """Return what a version says to each question by itself."""
    return [ask_alone(base, folder, [one], MOST)[0] for one in QUESTIONS]


@pytest.mark.parametrize("most_versions", [1, 4])
def test_versions_side_by_side_say_what_they_say_alone(nano, versions, most_versions):
    expected = {name: alone(nano, folder) for name, folder in versions.items()}
    desk = Desk(nano, most_versions)
    keys = [(name, place) for place in range(len(QUESTIONS)) for name in versions]

    for number, (name, place) in enumerate(keys):
        desk.ask(number, QUESTIONS[place], name, versions[name])
        desk.answering.step()
    desk.finish()

    found = {key: desk.text(number) for number, key in enumerate(keys)}
    assert found == {
        (name, place): said
        for name, answers in expected.items()
        for place, said in enumerate(answers)
    }
    assert len({tuple(answers) for answers in expected.values()}) == len(versions)


def test_versions_that_nobody_asks_leave_for_others(nano, versions):
    desk = Desk(nano, most_versions=1)

    for number, (name, folder) in enumerate(versions.items()):
        desk.ask(number, QUESTIONS[0], name, folder)
        desk.finish()

    assert desk.answering.held == ["v2"]


def test_who_has_gone_is_written_no_more(nano, versions):
    desk = Desk(nano)
    for number, question in enumerate(QUESTIONS):
        desk.ask(number, question, "v1", versions["v1"])
    desk.answering.step()
    gone, *others = [n for n, told in desk.told.items() if not over(told)]
    said = len(desk.told[gone])

    desk.answering.cancel(gone)
    desk.finish()

    assert len(desk.told[gone]) == said
    assert all(over(desk.told[number]) for number in others)


def test_who_has_gone_before_it_began_is_not_written(nano):
    desk = Desk(nano)
    desk.ask(1, QUESTIONS[0])

    desk.answering.cancel(1)
    desk.finish()

    assert [type(line) for line in desk.told[1]] == [Begun]


def test_a_version_that_is_damaged_is_refused_and_the_others_go_on(nano, versions):
    file = next(versions["v1"].glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1])
    desk = Desk(nano)

    desk.ask(1, QUESTIONS[0], "v1", versions["v1"])
    desk.ask(2, QUESTIONS[0])
    desk.finish()

    [refused] = desk.told[1]
    assert isinstance(refused, AnswerRefused)
    assert refused.error == "ManifestError"
    assert desk.text(2) == alone(nano, None)[0]


def test_what_does_not_fit_is_refused(nano):
    desk = Desk(nano)

    desk.ask(1, "word " * 5000)

    [refused] = desk.told[1]
    assert "positions" in refused.message


def test_a_base_without_a_chat_template_is_told_by_its_error(load):
    desk = Desk(load("builtin:nano", chat="never"))

    desk.ask(1, "Hi")

    [refused] = desk.told[1]
    assert (refused.error, "/v1/completions" in refused.message) == (
        "TextBaseError",
        True,
    )


def test_an_answer_that_is_cut_off_says_so(nano):
    desk = Desk(nano)
    desk.ask(1, QUESTIONS[2], most=1)
    desk.finish()

    assert desk.told[1][-1].reason is Reason.LENGTH


def test_memory_that_is_full_refuses_what_was_begun(nano, versions):
    desk = Desk(nano)
    desk.ask(1, QUESTIONS[0], "v1", versions["v1"])
    desk.answering.step()

    desk.answering.give_up("no memory is left")
    desk.finish()

    assert desk.told[1][-1] == AnswerRefused(1, "ServiceError", "no memory is left")


class TestABaseThatIsWrittenWhole:
    """Its layers keep something else, or its configuration has rules of its own."""

    @pytest.fixture
    def ruled(self, nano):
        """The base that ships, with a rule."""
        nano.model.generation_config.no_repeat_ngram_size = 3
        return nano

    def test_it_answers_all_the_same(self, ruled):
        desk = Desk(ruled)

        for number, question in enumerate(QUESTIONS):
            desk.ask(number, question)
        desk.finish()

        said = [desk.text(number) for number in range(len(QUESTIONS))]
        assert said == alone(ruled, None)
        assert [type(line) for line in desk.told[0]] == [Begun, Said, Ended]

    @pytest.mark.parametrize("more", [{"top_p": 0.5}, {"told": 1}])
    def test_what_it_cannot_do_is_refused(self, ruled, more):
        desk = Desk(ruled)

        desk.ask(1, QUESTIONS[0], **more)

        assert "no top_p and no logprobs" in desk.told[1][0].message
