"""Forms with a file, streamed: the file to the disk, the few words beside it kept."""

from dataclasses import dataclass, field
from pathlib import PurePath

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from sleepcycle.errors import TuningError
from sleepcycle.server.arrival_desk import Arrival

FORM = b"multipart/form-data"
MOST_FIELDS = 16
LONGEST = 1000  # bytes of a field
NAME_CHARS = 255
FILE = "file"


@dataclass
class FormReader:
    """Takes a form piece by piece; its one file goes to `arrival`."""

    arrival: Arrival
    fields: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    """What the file is called, without the folders; None before there is one."""

    _heads: dict[str, bytes] = field(default_factory=dict)
    _head: bytes = b""
    _value: bytes = b""
    _key: str = ""
    _text: bytes = b""
    _is_file: bool = False
    _is_whole: bool = False

    def open(self, content_type: str) -> MultipartParser:
        """Return what the body is written to.

        Raises:
            TuningError: It is no form.
        """
        kind, options = parse_options_header(content_type)
        if kind != FORM or not options.get(b"boundary"):
            raise TuningError(
                "expected the Content-Type multipart/form-data with a boundary, got "
                f"{content_type[:80]!r}"
            )
        try:
            return MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._take_head,
                    "on_header_value": self._take_value,
                    "on_header_end": self._end_head,
                    "on_headers_finished": self._open_part,
                    "on_part_data": self._take,
                    "on_part_end": self._end,
                    "on_end": self._finish,
                },
            )
        except FormParserError as error:
            raise _broken(error) from error

    def write(self, parser: MultipartParser, data: bytes) -> None:
        """Take some more.

        Raises:
            TuningError: It is no form, or holds more than it may.
            QuotaError: There are too many bytes of files then.
            DiskError: The disk could not keep the file.
        """
        try:
            parser.write(data)
        except FormParserError as error:
            raise _broken(error) from error

    def expect_whole(self) -> str:
        """Return what the file is called, once all of the form is there.

        Raises:
            TuningError: It breaks off, or has no file.
        """
        if not self._is_whole:
            raise _broken("one that breaks off")
        if self.name is None:
            raise TuningError("expected a file in the form, got none", param=FILE)
        return self.name

    def _begin(self) -> None:
        self._heads, self._head, self._value = {}, b"", b""

    def _take_head(self, data: bytes, start: int, end: int) -> None:
        self._head += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_head(self) -> None:
        self._heads[self._head.decode("latin-1").lower()] = self._value
        self._head, self._value = b"", b""

    def _open_part(self) -> None:
        """Look what a part is."""
        said = self._heads.get("content-disposition", b"").decode("latin-1")
        _, options = parse_options_header(said)
        self._key = _text(options.get(b"name", b""))
        self._text, self._is_file = b"", b"filename" in options
        if not self._is_file:
            if len(self.fields) >= MOST_FIELDS:
                raise TuningError(f"expected at most {MOST_FIELDS} fields, got more")
            return
        if self._key != FILE or self.name is not None:
            raise TuningError(
                f"expected one file, named {FILE!r}, got another: {self._key[:80]!r}",
                param=self._key[:80],
            )
        name = PurePath(_text(options[b"filename"]).replace("\\", "/")).name
        self.name = name[-NAME_CHARS:] or FILE

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            return self.arrival.write(data[start:end])
        self._text += data[start:end]
        if len(self._text) > LONGEST:
            raise TuningError(
                f"expected at most {LONGEST} bytes, got more", param=self._key[:80]
            )

    def _end(self) -> None:
        if not self._is_file:
            self.fields[self._key] = _text(self._text)

    def _finish(self) -> None:
        self._is_whole = True


def _text(data: bytes) -> str:
    """Return bytes as text, whatever they are."""
    return data.decode(errors="replace")


def _broken(what: object) -> TuningError:
    """Return the error for what is no form."""
    return TuningError(f"expected a whole form of multipart/form-data, got: {what}")
