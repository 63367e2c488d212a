"""A chat template that never ends keeps nobody waiting for ever."""

import shutil
import threading
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from sleepcycle.errors import ModelError
from sleepcycle.model import template_limit
from sleepcycle.model.base import load_base
from sleepcycle.model.base_checks import check_loadable
from sleepcycle.model.base_files import locate
from sleepcycle.model.template_limit import expect_end
from sleepcycle.settings.config import ModelSettings

FOLDER = locate(ModelSettings())
MANY = "{% for i in range(99999) %}"
ENDLESS = f"{MANY * 3}{{% endfor %}}{{% endfor %}}{{% endfor %}}"
NO_END = r"render two turns, got no end of it within 0\.5 s; mend it, put another"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """A limit for which a test can wait."""
    monkeypatch.setattr(template_limit, "LIMIT_S", 0.5)


@pytest.fixture(scope="module")
def shipped():
    """The tokenizer that ships."""
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture
def with_template(shipped):
    """Return the tokenizer with another chat template."""
    kept = shipped.chat_template

    def changed(template):
        shipped.chat_template = template
        return shipped

    yield changed
    shipped.chat_template = kept


@pytest.fixture
def endless(tmp_path):
    """A base whose template never ends."""
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    (folder / "chat_template.jinja").write_text(ENDLESS)
    return ModelSettings(base=str(folder))


def test_one_that_never_ends_is_refused_and_its_thread_ends(with_template):
    with pytest.raises(ModelError, match=NO_END):
        expect_end(with_template(ENDLESS), "some/base")

    assert "chat template" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("{% for i in range(10**12) %}{% endfor %}", "OverflowError: Range too big"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ 'x' * 10**17 }}", "MemoryError"),
    ],
)
def test_one_that_fails_whatever_is_said_is_refused(with_template, template, found):
    with pytest.raises(ModelError, match=f"got {found}"):
        expect_end(with_template(template), "some/base")


@pytest.mark.parametrize(
    "template", ["{{ messages[0].content }}", "{{ raise_exception('no') }}", "{{", None]
)
def test_what_ends_is_left_to_who_renders(with_template, template):
    """
    Also where it refuses these turns, which others may not be.
    """
    expect_end(with_template(template), "some/base")


def test_a_dictionary_of_templates_is_looked_at():
    def apply(*_, **options):
        raise OverflowError("too big")

    tokenizer = SimpleNamespace(
        chat_template={"default": "{{"}, apply_chat_template=apply
    )

    with pytest.raises(ModelError, match="got OverflowError: too big"):
        expect_end(tokenizer, "some/base")


def test_a_base_with_one_is_neither_taken_nor_loaded(endless, tmp_path):
    with pytest.raises(ModelError, match=NO_END):
        check_loadable(endless)
    with pytest.raises(ModelError, match=NO_END):
        load_base(endless, device="cpu", cache=tmp_path)


def test_without_chat_it_is_never_rendered(endless, tmp_path):
    never = endless.model_copy(update={"chat": "never"})

    assert not load_base(never, device="cpu", cache=tmp_path).chat


def test_one_of_the_owners_in_its_place_is_held_to_it_too(tmp_path):
    (tmp_path / "own.jinja").write_text(ENDLESS)
    own = ModelSettings(chat_template=str(tmp_path / "own.jinja"))

    with pytest.raises(ModelError, match=NO_END):
        load_base(own, device="cpu", cache=tmp_path)
