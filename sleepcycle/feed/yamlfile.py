"""YAML: a list of rows, or a document a row, in a file that is read whole."""

from collections.abc import Hashable, Iterator
from io import BufferedReader
from typing import Any

import yaml

from sleepcycle.errors import FeedError
from sleepcycle.feed.beginning import are_rows
from sleepcycle.feed.objects import expect_harmless, row_of
from sleepcycle.feed.plain_values import key_text
from sleepcycle.feed.rows import Row
from sleepcycle.feed.shapes import RowOptions
from sleepcycle.settings.config import FeedSettings

WHOLE_BYTES = 4 << 20
"""Largest YAML file: it takes some forty times its size in memory, and a few seconds
a megabyte."""


def read_yaml(
    stream: BufferedReader, settings: FeedSettings, options: RowOptions
) -> Iterator[Row]:
    """Yield the elements of each document that is a list, and each other document.

    Raises:
        FeedError: The file is no YAML, too big, nested too deep, has aliases, which a
            small file can grow without bound with, or a key beside its list of rows
            that may change what they mean.
    """
    data = stream.read(WHOLE_BYTES + 1)
    if len(data) > WHOLE_BYTES:
        raise FeedError(
            f"expected at most {WHOLE_BYTES} bytes of YAML, got more; write it as JSONL"
        )
    try:
        _check(data, settings.max_depth)
        documents = list(yaml.load_all(data, Loader=_Loader))
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise FeedError(f"expected YAML, got: {reason:.200}") from error
    except (ValueError, RecursionError) as error:
        raise FeedError(f"expected YAML, got: {error}") from error
    number = 0
    for document in documents:
        for value in _rows_of(document, options.ignored):
            number += 1
            yield row_of(number, value, settings)


def _rows_of(document: object, ignored: frozenset[str]) -> list[Any]:
    """Return the elements of a list, or of the one list that an object wraps."""
    if isinstance(document, list):
        return document
    fields = document.items() if isinstance(document, dict) else []
    inner = [(key, value) for key, value in fields if isinstance(value, list | dict)]
    if len(inner) == 1:
        [(key, value)] = inner
        if isinstance(value, list) and value and are_rows(key_text(key), _keyed(value)):
            beside = {key_text(name): one for name, one in fields if name != key}
            expect_harmless(beside, ignored)
            return value
    return [document]


def _keyed(rows: list[Any]) -> object:
    """Return the first element of a list, its keys as text."""
    first = rows[0]
    if isinstance(first, dict):
        return {key_text(key): value for key, value in first.items()}
    return first


def _check(data: bytes, max_depth: int) -> None:
    """Refuse what makes much of little, before anything is built."""
    depth = 0
    for event in yaml.parse(data, Loader=_Loader):
        if getattr(event, "anchor", None):
            raise FeedError(
                "expected YAML without anchors (&) and aliases (*), got one; write "
                "it as JSONL"
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > max_depth + 1:  # the list of rows is a level, too
            raise FeedError(f"expected at most {max_depth} levels, got more")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, which takes no key twice."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, Any]:
        """Build an object whose keys are all different.

        Raises:
            yaml.YAMLError: A key stands there twice.
        """
        fields: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        if len(fields) != len(node.value):
            raise yaml.YAMLError("a key stands twice in an object")
        return fields
