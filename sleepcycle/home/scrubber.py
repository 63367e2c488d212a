"""Put a sign in the place of each address, telephone and card number of what is kept.

What is found is what is written as such a number or address; a name, or a number that
is only said in words, is not. An owner's own patterns find the rest.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sleepcycle.records.content import plain_json
from sleepcycle.settings.captureconfig import CaptureSettings
from sleepcycle.settings.choices import Private

REDACTED = "[redacted]"
GAP = r"[ \u00a0\u2007\u202f.\-\u2010-\u2013]"
"""What stands between the groups of a number: a space, a dot, a dash."""

EMAIL = re.compile(
    r"""(?:"[^"\n]{1,64}"|[\w.!#$%&'*+/=?^`{|}~-]{1,64})@"""
    r"(?:[\w-]{1,63}\.){1,8}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})"
)
_PLAIN = (
    r"(?:\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})|\d{4}-\d{2}-\d{2}"
    r"|\d{1,3}(?:\.\d{1,3}){3})(?!\d)"
)
"""A date, or an address of the internet: no telephone number begins so."""

_JOINED = rf"(?:{GAP}{{0,2}}[(/]?\d\)?)"
PHONE = re.compile(
    rf"""
    (?<![\w+@]) \+ \(? \d \)? {_JOINED}{{6,14}} (?!\d)          # +49 170 1234567
  | (?<![\w.,/:+-]) 00 [1-9] (?: \d{{10,12}} (?!\d)             # 00491701234567
      | (?=\d{{0,3}}{GAP}) {_JOINED}{{7,14}} (?!\d) )           # 0049 170 1234567
  | (?<![\w.,/:+-]) (?!{_PLAIN}) 0 [1-9] (?: \d{{8,9}} (?![\d])  # 01701234567
      | (?=\d{{0,4}}(?:{GAP}|/)) {_JOINED}{{7,10}} (?!\d) )     # 030/123 45 67
  | (?<![\w(]) \( (?: 0\d{{1,5}} | \d{{3}} ) \)
      {GAP}? (?!{_PLAIN}) \d {_JOINED}{{4,10}} (?!\d)            # (030) 1234567
  | (?<![\w.,/:+-]) (?: 1 {GAP} )? [2-9]\d\d {GAP} \d{{3}} {GAP} \d{{4}} (?![\w-])
""",
    re.VERBOSE,
)
CALLED = re.compile(
    rf"""
    (?i: \b (?: tel | telephone | phone | mobile | cell | fax | call | handy
      | whatsapp | telefon\w* | rufnummer ) \b )
    (?: [^\w\n]{{0,3}} (?i: me | us | is | no | number | nr | at | on | to ) \b ){{0,3}}
    [^\w\n+]{{0,3}} (?!{_PLAIN}) ( \d {_JOINED}{{6,14}} ) (?!\d)
""",
    re.VERBOSE,
)
"""A number of any form, where a word says that it is one to call."""

CARD = re.compile(
    rf"""(?<!\d) (?: [2-6]\d{{12,18}}
      | [2-6]\d{{3}} {GAP} \d{{4}} {GAP} \d{{4}} {GAP} \d{{1,7}}
      | 3\d{{3}} {GAP} \d{{6}} {GAP} \d{{4,5}} ) (?!\d)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Scrubber:
    """What is taken out of a conversation, and what stands in its place."""

    kinds: frozenset[Private]
    patterns: tuple[re.Pattern[str], ...] = ()

    def text(self, text: str) -> str:
        """Return a text with a sign for each find; no half of a character is left."""
        text = text.encode("utf-8", "replace").decode()
        for pattern in self.patterns:
            text = pattern.sub(REDACTED, text)
        if Private.EMAIL in self.kinds and "@" in text:
            text = EMAIL.sub("[email]", text)
        if Private.CARD in self.kinds:
            text = CARD.sub(_card, text)
        if Private.PHONE in self.kinds:
            text = PHONE.sub("[phone]", text)
            text = CALLED.sub(_called, text)
        return text

    def plain(self, value: Any) -> Any:  # noqa: ANN401 - plain data has any shape
        """Return plain data with each of its texts, keys and numbers scrubbed."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return dict(self._fields(value))
        if isinstance(value, list | tuple):
            return [self.plain(inner) for inner in value]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        written = str(value)
        scrubbed = self.text(written)
        return value if scrubbed == written else scrubbed

    def _fields(self, fields: Mapping[Any, Any]) -> Iterable[tuple[str, Any]]:
        """Yield the fields of an object; the JSON of a call's arguments is read."""
        for key, value in fields.items():
            parsed = _parsed(value) if key == "arguments" else None
            kept = plain_json(self.plain(parsed)) if parsed else self.plain(value)
            yield self.text(str(key)), kept


def scrubber_of(settings: CaptureSettings) -> Scrubber:
    """Return what the settings want to have taken out."""
    patterns = tuple(map(re.compile, settings.patterns))
    return Scrubber(frozenset(settings.redact), patterns)


def _card(found: re.Match[str]) -> str:
    """Return the sign for a number that is a card's, or else what was found."""
    digits = [int(sign) for sign in found[0] if sign.isdecimal()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    is_card = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0  # Luhn, ISO/IEC 7812-1
    return "[card]" if is_card and len(digits) >= 13 else found[0]


def _called(found: re.Match[str]) -> str:
    """Return what was found with the sign in the place of the number alone."""
    before = found.start(1) - found.start()
    return found[0][:before] + "[phone]" + found[0][before + len(found[1]) :]


def _parsed(text: Any) -> Any:  # noqa: ANN401 - JSON has any shape
    """Return the object or list that a text is the JSON of; None where it is none."""
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None
