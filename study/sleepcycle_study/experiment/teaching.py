"""What a run is taught: a curriculum's phases, drawn from a seed."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from random import Random

from sleepcycle.curricula.curriculum import Curriculum, Phase, placeholders
from sleepcycle.errors import ConfigError
from sleepcycle.records.content import Completion, canonical_json
from sleepcycle.records.example import Example
from sleepcycle_study.domains.domain import Item, Question
from sleepcycle_study.domains.registry import domain_of
from sleepcycle_study.errors import StudyError

ITEMS = 1_000_000  # more than a phase has
HELD_OUT = 16  # items of each phase
DRAWN = 100 * HELD_OUT  # to find them


@dataclass(frozen=True)
class TaughtPhase:
    """One phase with its lessons."""

    phase: Phase
    examples: tuple[Example, ...]
    held_out: tuple[Example, ...] = ()
    """What nights look at, to see how far REM has come; neither taught nor asked. None
    where a domain has no more than is taught, such as a table's rows."""


@dataclass(frozen=True)
class Course:
    """All that one seed teaches and asks."""

    phases: tuple[TaughtPhase, ...]
    questions: Mapping[str, tuple[Question, ...]]
    """By domain; none about anything that is taught."""


def draw(
    curriculum: Curriculum,
    *,
    seed: int,
    questions: int,
    language: str = "en",
    samples_scale: float = 1.0,
) -> Course:
    """Draw the questions of a seed, and then its lessons, around them.

    The same seed gives the same course to every arm.

    Raises:
        StudyError: A phase has rows of its own, or a domain has too few items.
    """
    names = list(dict.fromkeys(phase.domain for phase in curriculum.phases))
    asked = {
        name: tuple(domain_of(name).ask(Random(f"{seed}/ask"), questions, (), language))
        for name in map(_expect_domain, names)
    }
    taken = {q.key for found in asked.values() for q in found if q.key}
    phases = []
    for number, phase in enumerate(curriculum.phases):
        rng = Random(f"{seed}/{phase.name}")
        size = max(1, round(phase.samples * samples_scale))
        taught = list(islice(_items(phase, rng, taken), size))
        others = _others(phase, rng, taken, taught)
        examples = [
            Example(
                ITEMS * number + place + 1,
                number,
                render(phase, item.fields, item.when, language),
            )
            for place, item in enumerate([*taught, *others])
        ]
        phases.append(TaughtPhase(phase, (*examples[:size],), (*examples[size:],)))
    return Course(tuple(phases), asked)


def render(
    phase: Phase, fields: Mapping[str, str], when: str, language: str = "en"
) -> Completion:
    """Put an item into the words of a phase, by the first form that fits.

    Raises:
        ConfigError: No form is for such an item in that language, or the form has a
            place that the item cannot fill.
    """
    for number, form in enumerate(phase.forms, 1):
        if form.language == language and form.when in {"", when}:
            key = f"{phase.place}.forms.{number}"
            prompt = _filled(form.prompt, fields, f"{key}.prompt")
            return Completion(prompt, _filled(form.answer, fields, f"{key}.answer"))
    raise ConfigError(
        f'{phase.place}.forms: expected a form for language "{language}" and when '
        f'"{when}", got {_known_forms(phase)}; add one, or one whose when is ""'
    )


def _known_forms(phase: Phase) -> str:
    """Return which items a phase has forms for."""
    known = (f'language "{form.language}" when "{form.when}"' for form in phase.forms)
    return ", ".join(known) or "no form at all"


def _filled(template: str, fields: Mapping[str, str], key: str) -> str:
    """Fill the places of a template."""
    for place in placeholders(template):
        if place not in fields:
            near = difflib.get_close_matches(place, fields, n=1)
            hint = f"did you mean {{{near[0]}}}?" if near else "take another"
            raise ConfigError(
                f"{key}: expected places among {', '.join(sorted(fields))}, got "
                f"{{{place}}}; {hint}"
            )
    return template.format_map(fields)


def _items(phase: Phase, rng: Random, taken: set[str]) -> Iterator[Item]:
    """Draw a phase's items; one may come twice, as in life, but none that is asked."""
    domain, missed = domain_of(phase.domain), 0
    for _ in count():
        item = domain.draw(rng)
        if item.key not in taken:
            missed = 0
            yield item
            continue
        missed += 1
        if missed > ITEMS // 100:
            raise StudyError(
                f"expected something to teach in the phase {phase.name}, got only what "
                "is asked; ask fewer questions"
            )


def _others(
    phase: Phase, rng: Random, taken: set[str], taught: Sequence[Item]
) -> list[Item]:
    """Draw items that are neither taught nor asked; none where a kind has no others."""
    known, domain = taken | {item.key for item in taught}, domain_of(phase.domain)
    drawn = (domain.draw(rng) for _ in range(DRAWN))
    others = list(islice((one for one in drawn if one.key not in known), HELD_OUT))
    is_whole = {item.when for item in others} >= {item.when for item in taught}
    return others if is_whole else []


def _expect_domain(name: str) -> str:
    """Refuse a phase whose rows come from a file: there is no grading those."""
    if not name:
        raise StudyError(
            "expected every phase of a study to have a domain, got one with a file; "
            "the service learns such curricula ([wake] curriculum), a study does not"
        )
    return name


def rows(
    curriculum: Curriculum, *, seed: int, language: str = "en"
) -> Iterator[tuple[str, list[str]]]:
    """Yield each phase's source, and its rows as JSON in the form that `feed` takes.

    Raises:
        StudyError: A phase has rows of its own.
    """
    course = draw(curriculum, seed=seed, questions=1, language=language)
    for taught in course.phases:
        lines = [canonical_json(example.content) for example in taught.examples]
        yield taught.phase.fed_as, lines
