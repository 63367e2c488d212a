"""Writes the sections of a report as a page, as Markdown, and as plain data."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from jinja2 import Environment
from markupsafe import Markup

from sleepcycle_study.report.figures import Cell, Table, TableRow

SPECIAL = re.compile(r"([\\`*_\[\]|#~])")

STYLE = """
:root { color-scheme: light dark; }
body { font-family: sans-serif; line-height: 1.45; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; background: Canvas; color: CanvasText; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.85rem; }
caption { text-align: left; font-weight: bold; padding: 0.3rem 0; }
th, td { border: 1px solid color-mix(in srgb, CanvasText 25%, Canvas);
  padding: 0.25rem 0.5rem; text-align: left; vertical-align: top;
  white-space: pre-line; }
thead th { background: color-mix(in srgb, CanvasText 8%, Canvas); }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.runs { font-size: 0.75rem; opacity: 0.75; }
svg { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
""".strip()

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
{{ style }}
</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
{% for section in sections %}
<section>
<h2>{{ section.title }}</h2>
{% for sentence in section.sentences %}
<p>{{ sentence | clean }}</p>
{% endfor %}
{% for chart in section.charts %}
<figure>
{{ chart | drawn }}
</figure>
{% endfor %}
{% for table in section.tables %}
<p>{{ table.note }}</p>
<div class="wide">
<table>
<caption>{{ table.title | clean }}</caption>
<thead>
<tr>
{% for column in table.columns %}
<th scope="col">{{ column | clean }}</th>
{% endfor %}
<th scope="col">runs</th>
</tr>
</thead>
<tbody>
{% for row in table.rows %}
<tr>
{% for cell in row.cells %}
<td{% if cell.figures %} class="number"{% endif %}>{{ cell.text | clean }}</td>
{% endfor %}
<td class="runs">{{ row.runs | join(" ") }}</td>
</tr>
{% endfor %}
</tbody>
</table>
</div>
{% endfor %}
</section>
{% endfor %}
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """One part of a report."""

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[str, ...] = ()
    """SVG elements, already escaped."""


def html(title: str, sections: Sequence[ReportSection]) -> str:
    """Return a page that needs nothing but itself; all words are escaped."""
    maker = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    maker.filters |= {"clean": clean, "drawn": Markup}
    page = maker.from_string(PAGE)
    return page.render(title=clean(title), sections=sections, style=Markup(STYLE))


def markdown(title: str, sections: Sequence[ReportSection]) -> str:
    """Return the same without charts, as Markdown with tables."""
    return "\n".join(_lines(title, sections)) + "\n"


def plain(title: str, sections: Sequence[ReportSection]) -> dict[str, object]:
    """Return the same without charts, as plain data; figures as in the tables."""
    return {
        "title": clean(title),
        "sections": [
            {
                "title": section.title,
                "sentences": [clean(sentence) for sentence in section.sentences],
                "tables": [_plain_table(table) for table in section.tables],
            }
            for section in sections
        ],
    }


def clean(text: str) -> str:
    """Return text without characters that a page or a file cannot hold."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if _is_odd(character) else character
        for character in text
    )


def _is_odd(character: str) -> bool:
    """Return whether a character is a control, or half of one."""
    return character not in "\n\t" and unicodedata.category(character) in {"Cc", "Cs"}


def _lines(title: str, sections: Sequence[ReportSection]) -> Iterator[str]:
    """Yield the lines of a report in Markdown."""
    yield f"# {_escaped(title)}"
    for section in sections:
        yield f"\n## {_escaped(section.title)}"
        for sentence in section.sentences:
            yield f"\n{_escaped(sentence)}"
        for table in section.tables:
            yield from _table_lines(table)


def _table_lines(table: Table) -> Iterator[str]:
    """Yield a table in Markdown."""
    yield f"\n### {_escaped(table.title)}"
    yield f"\n{_escaped(table.note)}\n"
    yield f"| {' | '.join(_escaped(name) for name in table.columns)} | runs |"
    yield "|---" * (len(table.columns) + 1) + "|"
    for row in table.rows:
        cells = [c.text if c.figures else _escaped(c.text) for c in row.cells]
        yield f"| {' | '.join([*cells, ' '.join(row.runs)])} |"


def _escaped(text: str) -> str:
    """Return words on one line, with no meaning to Markdown or to a page."""
    line = " ".join(clean(text).split())
    return SPECIAL.sub(r"\\\1", escape(line, quote=False))


def _plain_table(table: Table) -> dict[str, object]:
    """Return a table as plain data."""
    return {
        "title": clean(table.title),
        "note": table.note,
        "rows": [_plain_row(table, row) for row in table.rows],
    }


def _plain_row(table: Table, row: TableRow) -> dict[str, object]:
    """Return a row as plain data, by column; "runs" are its files."""
    cells = zip(table.columns, row.cells, strict=True)
    return {name: _plain_cell(cell) for name, cell in cells} | {"runs": [*row.runs]}


def _plain_cell(cell: Cell) -> object:
    """Return a cell as plain data: its text alone, or with the figures in it."""
    text = clean(cell.text)
    return {"text": text, **cell.figures} if cell.figures else text
