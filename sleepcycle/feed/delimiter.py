"""Which sign divides the fields of a CSV file, told by its header."""

import csv
import re

from sleepcycle.feed.beginning import Beginning
from sleepcycle.feed.header import has_shape
from sleepcycle.feed.shapes import AS_THEY_ARE, RowOptions

DELIMITERS = ",;\t|"
_SAID = re.compile(r'"?sep=(.)"?\r?$')


def said_delimiter(line: str) -> str | None:
    """Return the delimiter that a first line such as `sep=;` says, as Excel has it."""
    match = _SAID.match(line)
    return match[1] if match else None


def delimiter_of(line: str, wanted: RowOptions) -> str:
    """Return the delimiter with which a header has the columns of a shape.

    Where it has them with none, that which makes most columns of it.
    """
    columns = {each: columns_of(line, each) for each in DELIMITERS}
    return max(
        DELIMITERS,
        key=lambda each: (has_shape(columns[each], wanted), len(columns[each])),
    )


def columns_of(line: str, delimiter: str) -> list[str]:
    """Return the names in a header."""
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return []


def is_table(found: Beginning, wanted: RowOptions = AS_THEY_ARE) -> bool:
    """Return whether the first two lines are plainly a header and a record."""
    header, record = found.lines
    sign = delimiter_of(header, wanted)
    names = columns_of(header, sign)
    named = [name for name in names if name]
    is_one = len(named) > 1 and has_shape(named, wanted)
    return is_one and len(columns_of(record, sign)) == len(names)
