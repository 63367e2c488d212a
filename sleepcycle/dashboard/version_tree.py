"""Versions as a tree: nights in a line, and under each the wakes that began there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sleepcycle.dashboard.line_drawing import Drawing, draw
from sleepcycle.home.versions import VersionListing
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.store.values import GateFigures

KINDS = {
    VersionKind.BASE: "the bare base",
    VersionKind.WAKE: "wake",
    VersionKind.SLEEP: "night",
    VersionKind.IMPORT: "import",
}


@dataclass(frozen=True, slots=True)
class Branch:
    """A night, an import or the base, and the wakes that began from it."""

    root: VersionListing
    wakes: tuple[VersionListing, ...]
    """Newest first."""


@dataclass(frozen=True, slots=True)
class TreePage:
    """Some branches, newest first."""

    branches: tuple[Branch, ...]
    older: int | None
    """Before which version the next page is; None where this is the last."""


def tree_page(
    listing: Sequence[VersionListing], before: int | None, size: int, *, nights: bool
) -> TreePage:
    """Return a page of the tree; a branch is never cut in two.

    Args:
        listing: All versions, oldest first.
        before: Branches of versions of a lower number alone; None for the newest.
        size: Versions of a page; the last branch may bring more.
        nights: Leave wakes out.
    """
    taken: list[Branch] = []
    left = size
    found = [
        one
        for one in _branches(listing, nights=nights)
        if before is None or one.root.version.number < before
    ]
    for one in found:
        if left <= 0:
            return TreePage(tuple(taken), taken[-1].root.version.number)
        taken.append(one)
        left -= 1 + len(one.wakes)
    return TreePage(tuple(taken), None)


def made_of(version: Version) -> str:
    """Return what a version is, and what it was made from, in words."""
    names = [f"v{number}" for number in version.parents]
    match version.kind:
        case VersionKind.BASE:
            return "the model as it came, before it learned anything here"
        case VersionKind.WAKE:
            return f"learned new examples on top of {' and '.join(names)}"
        case VersionKind.SLEEP:
            return f"folded {' and '.join(names[1:])} onto {names[0]}"
        case VersionKind.IMPORT:
            return "an adapter made elsewhere"


def metric(figures: Sequence[GateFigures]) -> Drawing | None:
    """Return the lines of what the gate measured of nights, on a scale from 0 to 1."""
    return draw(
        [
            [(one.version, one.known_exact) for one in figures],
            [(one.version, one.agreement) for one in figures],
        ],
        low=0.0,
        high=1.0,
    )


def _branches(listing: Sequence[VersionListing], *, nights: bool) -> Iterable[Branch]:
    """Yield all branches, newest first."""
    roots: dict[int, int] = {}
    wakes: dict[int, list[VersionListing]] = {}
    for one in listing:  # a parent is always older
        version = one.version
        if version.kind is VersionKind.WAKE:
            roots[version.number] = roots[version.parents[0]]
            wakes.setdefault(roots[version.number], []).append(one)
        else:
            roots[version.number] = version.number
    for one in reversed(listing):
        if one.version.kind is not VersionKind.WAKE:
            below = () if nights else reversed(wakes.get(one.version.number, ()))
            yield Branch(one, tuple(below))
