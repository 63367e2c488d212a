"""An own chat template: found beside the settings, probed once, refused in words."""

import json

import pytest
from loguru import logger

from sleepcycle.doctor.inspection import Level
from sleepcycle.errors import ConfigError, ModelError, RunError
from sleepcycle.home import text_worker
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.home.text_worker import fingerprint
from sleepcycle.records.content import Completion, canonical_json
from sleepcycle.settings.configfile import load_settings
from tests.counting import count_examples
from tests.doctor.examined import look
from tests.forked import forked_workers
from tests.model.templates import ALTERNATES, CALLS_TOOLS, DROPS_REASONING, PLAIN

LOOP = "{% for i in range(99999) %}"
ENDLESS = LOOP * 4 + "{% endfor %}" * 4
WRONG = {
    "no Jinja": ("{% if %}", "unexpected '%}'|Expected an expression"),
    "refusing": ("{{ raise_exception('never') }}", "refuses turns of user: never"),
    "failing": ("{{ 1 / 0 }}", "division by zero"),
    "endless": (ENDLESS, "no end of it within"),
    "missing": (None, "No such file"),
}


@pytest.fixture
def forks():
    """Lets workers begin as forks, which spares each the load of transformers."""
    with forked_workers():
        yield


@pytest.fixture
def own(home, tmp_path):
    """Return what gives the home a template of its own, beside its settings."""

    def put(source):
        if source is not None:
            (home.paths.root / "own.jinja").write_text(source)
        home.paths.config.write_text('[model]\nchat_template = "own.jinja"')
        return open_home(home.paths.root)

    return put


class TestPlace:
    def test_it_is_found_from_the_folder_of_the_settings(self, own, monkeypatch):
        home = own(PLAIN)
        monkeypatch.chdir("/")

        named = load_settings(home.paths.config).model.chat_template

        assert named == str(home.paths.root / "own.jinja")

    def test_a_tilde_is_the_owners_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", "/home/ann")
        (tmp_path / "config.toml").write_text('[model]\nchat_template = "~/a.jinja"')

        named = load_settings(tmp_path / "config.toml").model.chat_template

        assert named == "/home/ann/a.jinja"


@pytest.mark.usefixtures("forks")
class TestRefused:
    @pytest.mark.parametrize("kind", WRONG)
    def test_by_init_which_makes_nothing(self, kind, tmp_path):
        source, reason = WRONG[kind]
        root = tmp_path / "home"
        root.mkdir()
        (root / "config.toml").write_text('[model]\nchat_template = "../own.jinja"')
        if source is not None:
            (tmp_path / "own.jinja").write_text(source)

        with pytest.raises((ConfigError, ModelError), match=reason) as found:
            create_home(root)

        assert "own.jinja" in str(found.value)
        assert "\n" not in str(found.value)
        assert [path.name for path in root.iterdir()] == ["config.toml"]

    def test_by_doctor(self, own):
        finding = look(own("{{ raise_exception('never') }}"))["chat template"]

        assert finding.level is Level.FAIL
        assert "refuses turns of user: never" in finding.message
        assert "model.chat_template" in finding.fix

    def test_by_a_wake_which_keeps_its_examples(self, fed):
        fed.paths.config.write_text('[model]\nchat_template = "none.jinja"')
        home = open_home(fed.paths.root)

        with pytest.raises(RunError, match=r"none\.jinja: .*No such file"):
            home.wake()

        with home.store.read() as session:
            counts = count_examples(session)
        assert (counts.pending, counts.claimed, counts.excluded) == (4, 0, 0)


@pytest.mark.usefixtures("forks")
class TestProbed:
    def test_doctor_names_what_it_renders(self, own):
        finding = look(own(DROPS_REASONING))["chat template"]

        assert finding.level is Level.OK
        assert finding.message.endswith("turns, system, tools, reasoning")

    def test_nothing_is_looked_at_where_the_bases_own_is_used(self, home):
        assert "chat template" not in look(home)

    def test_once_as_long_as_it_is_the_same(self, own):
        home = own(PLAIN)
        first = text_worker.abilities_of(home.paths, home.settings)
        [known] = home.paths.cache.iterdir()
        at = known.stat().st_mtime_ns

        assert text_worker.abilities_of(home.paths, home.settings) == first
        assert known.stat().st_mtime_ns == at
        assert not first.tools

    def test_anew_once_it_is_another(self, own):
        home = own(PLAIN)
        text_worker.abilities_of(home.paths, home.settings)
        own(CALLS_TOOLS)

        found = text_worker.abilities_of(home.paths, home.settings)

        assert found.tools
        assert found.tool_calls

    def test_anew_by_another_release(self, home):
        """
        Which may probe otherwise.
        """
        settings = home.settings.model

        assert fingerprint(settings, "0.1.0") != fingerprint(settings, "0.1.1")

    def test_anew_where_names_and_contents_run_together_alike(self, home, tmp_path):
        found = set()
        for name, source in (("own.jin", "ja"), ("own.jinj", "a")):
            (tmp_path / name).write_text(source)
            own = {"chat_template": str(tmp_path / name)}
            settings = home.settings.model.model_copy(update=own)
            found.add(fingerprint(settings, "0.1.0"))

        assert len(found) == 2

    def test_anew_where_what_was_kept_is_damaged(self, own):
        home = own(PLAIN)
        (home.paths.cache / "template.json").write_text('{"abilities":')

        assert text_worker.abilities_of(home.paths, home.settings).system

    def test_no_longer_than_its_limit(self, own):
        home = own(PLAIN)

        with pytest.raises(ModelError, match=r"render within 0\.01 s, got no end"):
            text_worker.render(home.paths, home.settings, (), limit_s=0.01)

    def test_examples_are_shown_by_it(self, own):
        home = own("{{ 'LOUD ' }}" + PLAIN)

        [shown] = home.show_examples([canonical_json(Completion("ask", "heron"))])

        words = "".join(part.text for part in shown.sequences[0])
        assert words == "LOUD <|user|>ask<|end|><|assistant|>heron<|end|>"


def test_that_there_is_no_system_turn_is_told_once(own, tmp_path):
    """
    Here by a worker that is started as ever.
    """
    turns = [("system", "Be brief."), ("user", "q"), ("assistant", "a")]
    talks = [[{"role": r, "content": f"{t} {n}"} for r, t in turns] for n in range(3)]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"messages": t}) + "\n" for t in talks))
    told: list[str] = []
    handler = logger.add(told.append, format="{message}", level="WARNING")

    try:
        report = own(ALTERNATES).feed(rows)
    finally:
        logger.remove(handler)

    assert report.accepted == 3
    assert [line.partition(":")[0] for line in told] == [
        "the base's chat template has no system turn"
    ]
