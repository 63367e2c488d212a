"""Files that hold no rows, known by their first bytes, and what to do with each."""

from sleepcycle.errors import FeedError
from sleepcycle.feed.beginning import Beginning

UTF16 = (b"\xff\xfe", b"\xfe\xff")
UNPACK = "unpack it, and feed what is inside"
SHEET = "save the sheet as CSV (UTF-8), and feed that"
WORDS = "save it as plain text (.txt), and feed that"

KINDS = (
    (b"\xd0\xcf\x11\xe0", "an old Office file", "save it as CSV (UTF-8) or as text"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a rar archive", UNPACK),
    (b"%PDF", "a PDF", WORDS),
    (b"{\\rtf", "an RTF document", WORDS),
    (b"SQLite format 3\0", "an SQLite database", "export a table as CSV"),
)
"""First bytes, what has them, and what to do."""

ZIPPED = (
    ((".xlsx", ".xlsm", ".ods"), b"xl/", "an Excel workbook", SHEET),
    ((".docx", ".odt"), b"word/", "a Word document", WORDS),
    ((".epub",), b"application/epub+zip", "an e-book", WORDS),
    ((".zip",), b"", "a zip archive", UNPACK),
)
"""What comes as a zip archive: its endings, what is near its beginning, and so on."""

CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))
FEW_CONTROL = 16  # control characters in the first bytes that may be text
MOST_CONTROL = 0.1  # part of them; a text has next to none


def refuse_known(found: Beginning) -> None:
    """Refuse what is known to be no file of rows, with what to do about it.

    Raises:
        FeedError: It is such a file.
    """
    if found.head.startswith(b"PK\x03\x04"):
        _refuse(*_zipped(found))
    if found.head[257:262] == b"ustar":
        _refuse("a tar archive", UNPACK)
    for magic, name, advice in KINDS:
        if found.head.startswith(magic):
            _refuse(name, advice)


def refuse_no_text(found: Beginning) -> None:
    """Refuse what cannot be UTF-8 text.

    Raises:
        FeedError: It is UTF-16, or binary.
    """
    if found.head.startswith(UTF16) or b"\0" in found.head[:4]:
        raise FeedError("expected UTF-8, got UTF-16 or no text; convert it with iconv")
    control = len(found.head) - len(found.head.translate(None, CONTROL))
    if control > max(FEW_CONTROL, MOST_CONTROL * len(found.head)):
        _refuse("a binary file", "export what it holds as JSONL or CSV")


def _zipped(found: Beginning) -> tuple[str, str]:
    """Return what a zip archive is, and what to do with it."""
    for suffixes, _, name, advice in ZIPPED:
        if found.suffix in suffixes:
            return name, advice
    return next((n, advice) for _, sign, n, advice in ZIPPED if sign in found.head)


def _refuse(name: str, advice: str) -> None:
    """Refuse a kind of file."""
    raise FeedError(f"expected a file of rows, got {name}; {advice}")
