"""The text worker: what a base makes of examples, found out in a process of its own.

    python -m sleepcycle.home.text_worker ORDER.json RESULT.json

It loads the tokenizer, and no weights. Neither the service nor a command that feeds
loads transformers for it, and what a template does to its reader stays there.
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from sleepcycle.errors import ChildError, ChildTimeoutError, ModelError, SleepcycleError
from sleepcycle.files import disk
from sleepcycle.files.child_process import (
    WorkerCall,
    ask_worker,
    end_with_parent,
    offline_environment,
)
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.quick_import import without_collections
from sleepcycle.files.runfolder import Fault
from sleepcycle.model.base_files import files_at, locate
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.content import Completion, parse_canonical
from sleepcycle.records.shown import ShownExample
from sleepcycle.records.template import TemplateAbilities
from sleepcycle.settings.config import ModelSettings, Settings

LIMIT_S = 120.0  # for loading a tokenizer and rendering a few examples; a guess


@dataclass(frozen=True, slots=True)
class TextOrder:
    """What the worker is to render."""

    model: dict[str, object]
    prompt_weight: float
    examples: tuple[str, ...]
    """Canonical content."""


@dataclass(frozen=True, slots=True)
class KnownTemplate:
    """What was found out of a template, as `cache/template.json` holds it."""

    fingerprint: str
    """Of the files and settings that it depends on."""

    abilities: TemplateAbilities


@dataclass(frozen=True, slots=True)
class TextResult:
    """What the base makes of it."""

    abilities: TemplateAbilities
    shown: tuple[ShownExample, ...]
    unasked: tuple[int, ...] = ()
    """Places of the prompts that leave no room for an answer, so that no gate asks."""


def abilities_of(paths: HomePaths, settings: Settings) -> TemplateAbilities:
    """Return what a home's base can render; kept as long as its template stays.

    Raises:
        ModelError: The base's tokenizer cannot be read, or the worker died over it.
    """
    from importlib.metadata import version  # slow to import, and seldom needed

    file = paths.cache / "template.json"
    now = fingerprint(settings.model, version("sleepcycle"))
    try:
        known = from_json(file.read_text(encoding="utf-8"), KnownTemplate)
    except (OSError, ValueError):
        known = None
    if known is not None and known.fingerprint == now:
        return known.abilities
    found = render(paths, settings, ()).abilities
    disk.write(file, to_json(KnownTemplate(now, found)))
    return found


def render(
    paths: HomePaths,
    settings: Settings,
    examples: Sequence[str],
    *,
    limit_s: float = LIMIT_S,
) -> TextResult:
    """Return what the base makes of examples.

    Args:
        paths: The home.
        settings: Its settings.
        examples: Canonical content.
        limit_s: For the worker, which is ended then.

    Raises:
        ModelError: As for `abilities_of`.
    """
    order = TextOrder(
        settings.model.model_dump(mode="json"),
        settings.wake.prompt_weight,
        tuple(examples),
    )
    log = paths.logs / "text.log"
    call = WorkerCall(
        "sleepcycle.home.text_worker",
        paths.cache,  # not where recovery deletes what was staged
        offline_environment(),
        log,
        limit_s=limit_s,
    )
    try:
        found = ask_worker(call, order, TextResult, Fault)
    except ChildTimeoutError as error:
        raise ModelError(
            f"expected the chat template to render within {limit_s:g} s, got no "
            f"end of it; see {log}"
        ) from error
    except ChildError as error:
        raise ModelError(
            f"expected to render by the base's tokenizer, got: {error}; see {log}"
        ) from error
    if isinstance(found, Fault):
        raise found.to_error(ModelError)
    return found


def fingerprint(settings: ModelSettings, release: str) -> str:
    """Return what changes when another template may render, or may be probed anew.

    Args:
        settings: The base, and the template of its owner.
        release: Of this package.
    """
    probed = [field.name for field in fields(TemplateAbilities)]
    said = [release, *probed, str(settings.base), str(settings.chat)]
    parts = [text.encode() for text in said]
    parts += files_at(locate(settings)).template_marks()
    if settings.chat_template:
        own = Path(settings.chat_template)
        parts += [own.name.encode(), own.read_bytes() if own.is_file() else b""]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))  # else two lists of parts could be one
        digest.update(part)
    return digest.hexdigest()[:16]


def main(ordered: Path, result: Path) -> int:
    """Do one order; return the exit code."""
    with without_collections():
        from sleepcycle.model.agreement import askable
        from sleepcycle.model.base import load_text_base
        from sleepcycle.model.chat_template import template_of
        from sleepcycle.model.render_example import show_example

    order = from_json(ordered.read_text(encoding="utf-8"), TextOrder)
    try:
        base = load_text_base(ModelSettings.model_validate(order.model))
        abilities = (
            template_of(base.tokenizer).abilities if base.chat else TemplateAbilities()
        )
        contents = [parse_canonical(one) for one in order.examples]
        shown = tuple(
            show_example(one, base, prompt_weight=order.prompt_weight)
            for one in contents
        )
        unasked = tuple(
            place
            for place, one in enumerate(contents)
            if isinstance(one, Completion) and not askable(base, [one], 1)
        )
    except SleepcycleError as error:
        result.write_text(to_json(Fault.of(error)), encoding="utf-8")
        return 1
    found = TextResult(abilities, shown, unasked)
    result.write_text(to_json(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
