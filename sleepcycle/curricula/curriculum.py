"""Curricula: what is taught in which phases, and how an item becomes text in each."""

import re
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    model_validator,
)

from sleepcycle.errors import ConfigError
from sleepcycle.settings.faults import checked
from sleepcycle.settings.section import Section
from sleepcycle.settings.toml_file import read_toml

BUILTIN = Path(__file__).parent
LANGUAGE = re.compile(r"[a-z]{2,3}")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def _name(text: str) -> str:
    """Refuse what cannot be a source or a part of a file's name."""
    if not NAME.fullmatch(text):
        raise ValueError(
            f'expected a word of a-z, 0-9, "-" and "_", got {text!r:.80}; take one '
            'such as "foundation"'
        )
    return text


def _language(text: str) -> str:
    """Refuse what is no code of a language."""
    if not LANGUAGE.fullmatch(text):
        raise ValueError(
            f'expected the code of a language, got {text!r:.80}; write one such as "en"'
        )
    return text


def _template(text: str) -> str:
    """Refuse text with nothing in it, or with places that cannot be filled."""
    if not text.strip():
        raise ValueError(
            f"expected text, got {text!r:.80}; write some, such as {{value}}"
        )
    try:
        placeholders(text)
    except ValueError as error:
        raise ValueError(
            f"expected nothing in braces but places such as {{value}}, got "
            f"{text!r:.80} ({error}); double a brace that is meant as itself"
        ) from error
    return text


def placeholders(template: str) -> list[str]:
    """Return the names of the places in a template, in their order.

    Raises:
        ValueError: A brace stands alone, or a place is more or less than a name.
    """
    found = []
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        if form or conversion or not name.isidentifier():
            raise ValueError(f"{{{name}}} is not a bare name")
        found.append(name)
    return found


Name = Annotated[str, AfterValidator(_name)]
Language = Annotated[str, AfterValidator(_language)]
Template = Annotated[str, AfterValidator(_template)]


class Form(Section):
    """One way to put an item into words."""

    language: Language = "en"
    """What it is written in, such as "en" or "it"."""

    when: str = ""
    """Which items it is for, such as "hard"; "" is all."""

    prompt: Template
    """What is asked; `{expression}` and the like are filled from the item."""

    answer: Template
    """What is to be learned, filled likewise."""

    def covers(self, other: "Form") -> bool:
        """Return whether this form, coming first, leaves nothing to another."""
        return self.language == other.language and self.when in {"", other.when}


def _all_used(forms: list[Form]) -> list[Form]:
    """Refuse a form that no item could ever reach."""
    for later, form in enumerate(forms):
        for earlier, first in enumerate(forms[:later]):
            if first.covers(form):
                raise ValueError(
                    f"expected every form to fit something, got form {later + 1}, all "
                    f"of whose items form {earlier + 1} takes; put it first, or give "
                    "it another language or when"
                )
    return forms


class Phase(Section):
    """One phase: what is learned in it, from what, and how hard."""

    name: Name
    """What it is called, once in a curriculum."""

    source: str = ""
    """Batches fed with `--source` this name belong to it; "" is the phase's name."""

    domain: str = ""
    """Where its items are drawn, such as "arithmetic"."""

    file: str = ""
    """Rows to learn in place of drawn items, in any shape that `feed` reads."""

    samples: PositiveInt = 1_000
    """Items to draw."""

    epochs: PositiveFloat = 3.0
    """How often each is seen."""

    lr: PositiveFloat | Literal["auto"] = "auto"
    """Peak learning rate; `auto` is the one of `wake.lr`."""

    lr_scale: PositiveFloat = 1.0
    """What the learning rate is multiplied by."""

    consolidate: bool = False
    """Whether what was learned before is folded before this phase."""

    forms: Annotated[list[Form], AfterValidator(_all_used)] = Field(
        default_factory=list
    )
    """How items become text; the first that fits is taken."""

    _file: str = PrivateAttr("")

    @property
    def fed_as(self) -> str:
        """The name of the source whose batches belong to it."""
        return self.source or self.name

    @property
    def place(self) -> str:
        """Where the phase stands: the file, where it is known, and the key."""
        return f"{self._file + ': ' if self._file else ''}phases.{self.name}"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        """Refuse a phase whose items or forms would never be used."""
        if self.domain and self.file:
            raise ValueError("expected a domain or a file, got both; take one out")
        if self.domain and not self.forms:
            raise ValueError(
                f'expected at least one form for the domain "{self.domain}", got none; '
                "add a [[phases.forms]] with a prompt and an answer"
            )
        if self.forms and not self.domain:
            raise ValueError(
                "expected a domain for the forms, got none; set domain, or take the "
                "forms out"
            )
        return self


def _unique(phases: list[Phase]) -> list[Phase]:
    """Refuse no phase at all, and two with one name or one source."""
    if not phases:
        raise ValueError("expected at least one phase, got none; add a [[phases]]")
    names = [phase.name for phase in phases]
    sources = [phase.fed_as for phase in phases]
    for what, words in {"name": names, "source": sources}.items():
        twice = next((word for word in words if words.count(word) > 1), None)
        if twice:
            raise ValueError(
                f'expected no {what} twice, got two phases with "{twice}"; rename one'
            )
    return phases


class Curriculum(Section):
    """Phases, in the order in which they are learned."""

    name: Name
    """What it is called."""

    phases: Annotated[list[Phase], AfterValidator(_unique)]
    """At least one."""


def read_curriculum(path: Path) -> Curriculum:
    """Read a curriculum from a TOML file.

    Raises:
        ConfigError: The file cannot be read, is not TOML, has a key that is unknown
            (the nearest is named), or one whose value cannot be.
    """
    try:
        fields = read_toml(path)
    except ConfigError as error:
        raise ConfigError(f"{error}; mend the file there") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"expected a curriculum in {path}, got: {reason}; check the path, or take "
            f"one of those built in: {', '.join(builtins())}"
        ) from error
    except ValueError as error:  # a path that cannot be
        raise ConfigError(
            f"expected a curriculum in {str(path)!r}, got: {error}; check the path"
        ) from error
    return _placed(fields, str(path))


def builtins() -> list[str]:
    """Return the names of the curricula that come with the package."""
    return sorted(file.stem for file in BUILTIN.glob("*.toml"))


def builtin(name: str) -> Curriculum:
    """Return a curriculum that comes with the package.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in builtins():
        raise ConfigError(
            f"expected one of the curricula {', '.join(builtins())}, got {name!r}; for "
            "one of your own, give the path of its TOML file"
        )
    return read_curriculum(BUILTIN / f"{name}.toml")


def _placed(fields: dict[str, Any], file: str) -> Curriculum:
    """Build a curriculum from plain data, whose faults name the file."""
    curriculum = checked(Curriculum, fields, file=file)
    for phase in curriculum.phases:
        phase._file = file
    return curriculum
