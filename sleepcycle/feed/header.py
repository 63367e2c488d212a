"""The columns of a table, checked against the shapes before a row is read."""

from collections.abc import Iterable

from sleepcycle.errors import FeedError
from sleepcycle.feed.shapes import KEYS, RowOptions, has_keys, renamed, shape_of


def has_shape(names: Iterable[str], wanted: RowOptions) -> bool:
    """Return whether columns make rows of a shape."""
    columns = renamed(dict.fromkeys(names), wanted)
    shape = wanted.shape or shape_of(columns)
    return shape is not None and has_keys(columns, shape)


def check_columns(names: list[str], wanted: RowOptions) -> None:
    """Refuse a table that can hold no row of a shape.

    Raises:
        FeedError: A column stands there twice, or the names are those of no shape.
    """
    columns = " ".join(", ".join(names).split())  # a name may hold lines
    if len(set(names)) != len(names):
        raise FeedError(f"expected each column once, got: {columns:.200}")
    if not has_shape(names, wanted):
        known = ", or ".join(" and ".join(sorted(keys)) for keys in KEYS.values())
        raise FeedError(
            f"expected columns {known}, got: {columns:.200}; name yours by --map "
            "prompt=COLUMN,completion=COLUMN"
        )
