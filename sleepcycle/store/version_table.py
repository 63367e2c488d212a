"""Versions, what they were made from, and the aliases that point at them."""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Select, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Session

from sleepcycle.errors import VersionError
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.store.schema import (
    AliasRow,
    ExampleRow,
    RemovedRow,
    VersionBatchRow,
    VersionExampleRow,
    VersionParentRow,
    VersionRow,
)
from sleepcycle.store.values import Alias, ExampleState, Removed, one_known

ALIAS = re.compile(r"[a-z][a-z0-9._-]{0,63}")
NUMBER = re.compile(r"v?(0|[1-9][0-9]{0,8})")


def add_base(session: Session, base: BaseIdentity) -> None:
    """Write the bare base as v0, and make it live."""
    version = Version(
        number=0,
        kind=VersionKind.BASE,
        folder=None,
        parents=(),
        rank=0,
        accepted=True,
        created_at=datetime.now(UTC),
    )
    add(session, version, base, card="{}", batches={})
    point(session, Alias.LIVE, 0)


def add(
    session: Session,
    version: Version,
    base: BaseIdentity,
    card: str,
    batches: Mapping[int, int],
) -> None:
    """Write down a sealed version.

    Args:
        session: A transaction that may write.
        version: Its number comes from `next_number` in the same transaction.
        base: The model it belongs to.
        card: The JSON of its `card.json`.
        batches: How many examples of each batch it learned itself, its parents'
            not counted.
    """
    session.execute(
        insert(VersionRow).values(
            number=version.number,
            kind=version.kind,
            folder=version.folder,
            rank=version.rank,
            accepted=version.accepted,
            created_at=version.created_at,
            run=version.run,
            base_id=base.id,
            base_revision=base.revision,
            base_sha256=base.sha256,
            card=card,
        )
    )
    for position, parent in enumerate(version.parents):
        session.execute(
            insert(VersionParentRow).values(
                version=version.number, parent=parent, position=position
            )
        )
    for batch, examples in batches.items():
        session.execute(
            insert(VersionBatchRow).values(
                version=version.number, batch=batch, examples=examples
            )
        )


def next_number(session: Session) -> int:
    """Return the number that the next version gets."""
    return session.scalars(select(func.max(VersionRow.number))).one() + 1


def get(session: Session, number: int) -> Version:
    """Return one version.

    Raises:
        VersionError: There is none with that number.
    """
    return resolve(session, f"v{number}")


def resolve(session: Session, name: str) -> Version:
    """Return the version that a person means by `v3`, `3` or an alias.

    Raises:
        VersionError: There is none; the nearest names are given.
    """
    match = NUMBER.fullmatch(name)
    number = int(match[1]) if match else aliases(session).get(name)
    row = None if number is None else session.get(VersionRow, number)
    if row is None:
        raise _unknown(session, name)
    return _records(session, [row])[0]


def list_versions(session: Session) -> list[Version]:
    """Return every version, oldest first."""
    rows = session.scalars(select(VersionRow).order_by(VersionRow.number))
    return _records(session, rows)


def card(session: Session, number: int) -> str:
    """Return the JSON of a version's card.

    Raises:
        VersionError: There is none with that number.
    """
    return _row(session, number).card


def base(session: Session, number: int = 0) -> BaseIdentity:
    """Return the model that a version belongs to; v0 is the home's own.

    Raises:
        VersionError: There is none with that number.
    """
    row = _row(session, number)
    return BaseIdentity(row.base_id, row.base_revision, row.base_sha256)


def newest_base(session: Session) -> BaseIdentity:
    """Return the model that this home's versions belong to, with its hash if known."""
    return base(session, next_number(session) - 1)


def ancestors(session: Session, number: int) -> set[int]:
    """Return a version and all it was made from, however far back."""
    line = select(VersionRow.number).where(VersionRow.number == number).cte("line")
    older = select(VersionParentRow.parent).join(
        line, VersionParentRow.version == line.c.number
    )
    return set(session.scalars(select(line.union(older).c.number)))


def tainted(session: Session) -> set[int]:
    """Return the versions that know an example that is excluded now.

    They learned it themselves, or come from one that did.
    """
    return _knowing(session, ExampleRow.state == ExampleState.EXCLUDED)


def knowing(session: Session, example: int) -> list[int]:
    """Return the versions that know one example, oldest first."""
    return sorted(_knowing(session, ExampleRow.id == example))


def knowing_batch(session: Session, batch: int) -> list[int]:
    """Return the versions that know examples of one batch, oldest first."""
    learned = select(VersionBatchRow.version).where(VersionBatchRow.batch == batch)
    return sorted(_with_younger(session, learned))


def _knowing(session: Session, condition: ColumnElement[bool]) -> set[int]:
    """Return the versions that learned such examples, and all that come from them."""
    learned = (
        select(VersionExampleRow.version)
        .join(ExampleRow, ExampleRow.id == VersionExampleRow.example)
        .where(condition)
    )
    return _with_younger(session, learned)


def _with_younger(session: Session, learned: Select[int]) -> set[int]:
    """Return versions, and all that come from them, however far on."""
    taught = learned.cte("taught")
    younger = select(VersionParentRow.version).join(
        taught, VersionParentRow.parent == taught.c.version
    )
    return set(session.scalars(select(taught.union(younger).c.version)))


def remove(session: Session, number: int, reason: str) -> None:
    """Write down that a version's files are gone; its row stays for ever.

    Raises:
        VersionError: There is none with that number, or an alias points at it.
    """
    _row(session, number)
    names = sorted(n for n, version in aliases(session).items() if version == number)
    if names:
        raise VersionError(
            f"v{number} is {' and '.join(names)}, so its files are needed; let the "
            "name point at another version first"
        )
    session.execute(
        insert(RemovedRow).values(version=number, at=datetime.now(UTC), reason=reason)
    )


def removed(session: Session) -> dict[int, Removed]:
    """Return the versions whose files are gone, and since when."""
    rows = session.scalars(select(RemovedRow).order_by(RemovedRow.version))
    return {row.version: Removed(row.at, row.reason) for row in rows}


def batches_of(session: Session, versions: Collection[int]) -> dict[int, int]:
    """Return how many examples of each batch these versions learned themselves."""
    total = func.sum(VersionBatchRow.examples)
    rows = session.execute(
        select(VersionBatchRow.batch, total)
        .where(VersionBatchRow.version.in_(versions))
        .group_by(VersionBatchRow.batch)
        .order_by(VersionBatchRow.batch)
    )
    return {batch: int(examples) for batch, examples in rows}


def aliases(session: Session) -> dict[str, int]:
    """Return every alias and the number of its version."""
    rows = session.execute(
        select(AliasRow.name, AliasRow.version).order_by(AliasRow.name)
    )
    return dict(rows.all())


def point(session: Session, alias: Alias, number: int | None) -> None:
    """Move one of the service's own aliases, or drop it where `number` is None."""
    if number is None:
        session.execute(delete(AliasRow).where(AliasRow.name == alias))
    else:
        _move(session, alias, number)


def set_alias(session: Session, name: str, number: int) -> None:
    """Give a version a name of the user's own, or move that name to it.

    Raises:
        VersionError: The name is not allowed, or there is no such version.
    """
    _check_alias(name)
    _row(session, number)
    _move(session, name, number)


def drop_alias(session: Session, name: str) -> None:
    """Forget a name of the user's own.

    Raises:
        VersionError: There is no such alias, or it is the service's.
    """
    _check_alias(name)
    dropped = session.scalar(
        delete(AliasRow).where(AliasRow.name == name).returning(AliasRow.name)
    )
    if dropped is None:
        raise _unknown(session, name)


def _move(session: Session, name: str, number: int) -> None:
    """Point a name at a version, whose files must not have been removed.

    Raises:
        VersionError: They were, perhaps just now, by another process.
    """
    if session.get(RemovedRow, number) is not None:
        raise VersionError(
            f"the files of v{number} were removed, so {name} cannot be it; name "
            "another version, or restore a backup that has it"
        )
    session.execute(
        upsert(AliasRow)
        .values(name=name, version=number)
        .on_conflict_do_update(index_elements=["name"], set_={"version": number})
    )


def _check_alias(name: str) -> None:
    """Refuse a name that is not the user's to choose."""
    if name in list(Alias):
        raise VersionError(f"alias {name} is moved by sleepcycle alone; choose another")
    if NUMBER.fullmatch(name) or not ALIAS.fullmatch(name):
        raise VersionError(
            "an alias must begin with a-z, hold up to 64 of a-z 0-9 . _ - and not "
            f"look like v3, got {name!r}"
        )


def _row(session: Session, number: int) -> VersionRow:
    """Return one version's row."""
    row = session.get(VersionRow, number)
    if row is None:
        raise _unknown(session, f"v{number}")
    return row


def _unknown(session: Session, name: str) -> VersionError:
    """Return the error for an unknown name, with the nearest known one or all."""
    last = next_number(session) - 1
    known = sorted(aliases(session))
    near = difflib.get_close_matches(name, known, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else f"there are v0 to v{last} and {', '.join(known)}"
    )
    return VersionError(f"no version or alias {name!r}; {hint}")


def _records(session: Session, rows: Iterable[VersionRow]) -> list[Version]:
    """Return the rows' records, with their parents."""
    found = list(rows)
    parents: dict[int, list[int]] = {row.number: [] for row in found}
    pairs = session.execute(
        select(VersionParentRow.version, VersionParentRow.parent)
        .where(VersionParentRow.version.between(min(parents), max(parents)))
        .order_by(VersionParentRow.version, VersionParentRow.position)
    )
    for version, parent in pairs:
        parents[version].append(parent)
    return [
        Version(
            number=row.number,
            kind=one_known(VersionKind, row.kind),
            folder=row.folder,
            parents=tuple(parents[row.number]),
            rank=row.rank,
            accepted=row.accepted,
            created_at=row.created_at,
            run=row.run,
        )
        for row in found
    ]
