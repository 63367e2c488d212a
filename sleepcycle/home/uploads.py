"""The files of a home that came in over HTTP and are kept, to fine-tune on."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

from loguru import logger

from sleepcycle.errors import DiskError, NotFoundError, QuotaError, TuningError
from sleepcycle.files import disk
from sleepcycle.files.arriving import ArrivingFile, forget_arriving
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.upload import Upload

ID = re.compile(r"file-[0-9a-f]{24}")
TOLD = ".json"  # ends the name of what is known of a file


@dataclass(frozen=True)
class UploadRegistry:
    """The kept files of one home: bytes, and beside them what is known of them.

    A file is there once both are; what a crash leaves of one is deleted by `tidy`.
    """

    paths: HomePaths
    most_bytes: int
    """Of all files together."""

    def keep(self, file: ArrivingFile, name: str, purpose: str) -> Upload:
        """Keep what came in.

        Raises:
            QuotaError: There are too many bytes of files then.
            DiskError: The disk could not keep it.
        """
        self.expect_room(file.size, 0)
        upload = Upload(
            id=f"file-{secrets.token_hex(12)}",
            name=name,
            purpose=purpose,
            size_bytes=file.size,
            sha256=file.digest.hex(),
            created_at=datetime.now(UTC),
        )
        place = self._place(upload.id)
        file.keep(place)
        try:
            disk.write(self._told(upload.id), to_json(upload))
        except DiskError:
            with suppress(DiskError):
                disk.remove(place)
            raise
        return upload

    def expect_room(self, size: int, coming: int) -> int:
        """Return how many bytes of files there may be yet, where that is enough.

        Args:
            size: Bytes of one that is to be kept.
            coming: Bytes of others that are on their way.

        Raises:
            QuotaError: There are fewer.
        """
        kept = sum(_size(path) for path in self._folder("*") if ID.fullmatch(path.name))
        if size > self.most_bytes - kept - coming:
            raise QuotaError(
                f"expected at most {self.most_bytes} bytes of files, got {size} "
                f"beside {kept + coming}; delete some, or raise serve.max_feed_mb"
            )
        return self.most_bytes - kept - coming

    def get(self, name: str) -> Upload:
        """Return what is known of a file.

        Raises:
            NotFoundError: None of that name is kept.
        """
        if not ID.fullmatch(name):
            raise _missing(name)
        told = self._told(name)
        try:
            return from_json(told.read_text(encoding="utf-8"), Upload)
        except FileNotFoundError:
            raise _missing(name) from None
        except (ValueError, LookupError, TypeError) as error:
            raise TuningError(
                f"expected what is known of a file in {told.name}, got what cannot be "
                "read; delete the file: DELETE /v1/files/ID"
            ) from error

    def path(self, name: str) -> Path:
        """Return where the bytes of a file lie.

        Raises:
            NotFoundError: None of that name is kept.
        """
        return self._place(self.get(name).id)

    @contextmanager
    def reader(self, upload: Upload) -> Iterator[BinaryIO]:
        """Open a file, under the name that it came by.

        Raises:
            NotFoundError: It is not kept any more.
            DiskError: It cannot be read.
        """
        place = self._place(upload.id)
        with disk.translated("read", place):
            try:
                file = place.open("rb", buffering=0)
            except FileNotFoundError:
                raise _missing(upload.id) from None
        with file:
            file.name = upload.name
            yield cast("BinaryIO", file)  # read through a buffer of its own

    def listing(self) -> list[Upload]:
        """Return all files, newest first."""
        names = [path.name.removesuffix(TOLD) for path in self._folder(f"*{TOLD}")]
        found = [one for name in names if (one := self._readable(name)) is not None]
        return sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)

    def delete(self, name: str) -> None:
        """Delete a file; what was fed of it stays.

        Raises:
            NotFoundError: None of that name is kept.
        """
        with suppress(TuningError):  # what cannot be read can still be deleted
            self.get(name)
        disk.remove(self._told(name))
        disk.remove(self._place(name))

    def tidy(self) -> None:
        """Delete what a process that was killed has left; nothing may come in now."""
        forget_arriving(self.paths.uploads)
        whole = {one.id for one in self.listing() if self._place(one.id).is_file()}
        for path in self._folder("*"):
            if path.name.removesuffix(TOLD) not in whole:
                disk.remove(path)

    def _readable(self, name: str) -> Upload | None:
        """Return what is known of a file; None where it has gone or is damaged."""
        try:
            return self.get(name)
        except NotFoundError:
            return None
        except TuningError as error:
            logger.warning("{error}", error=str(error))
            return None

    def _place(self, name: str) -> Path:
        """Return where the bytes of a file lie, if it is one."""
        return self.paths.uploads / name

    def _told(self, name: str) -> Path:
        """Return where is written what is known of a file."""
        return self.paths.uploads / f"{name}{TOLD}"

    def _folder(self, pattern: str) -> Iterator[Path]:
        """Yield the files of the folder, if it is there."""
        return self.paths.uploads.glob(pattern)


def _missing(name: str) -> NotFoundError:
    """Return the error for a file that is not kept."""
    return NotFoundError(f"no file {name[:80]!r}; see: GET /v1/files")


def _size(path: Path) -> int:
    """Return the size of a file; 0 where it has just gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
