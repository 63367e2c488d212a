"""Bring a version to a folder: its adapter beside older ones, and a link to it.

A version's folder is what the hub of Hugging Face takes, so it can be pushed as it is.
"""

import json
import os
import re
import shutil
from pathlib import Path

from sleepcycle.errors import PublishError
from sleepcycle.files import disk
from sleepcycle.files.paths import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from sleepcycle.files.plain_file import read_plain
from sleepcycle.files.sealed import sha256
from sleepcycle.publish.driver import WantedVersion
from sleepcycle.publish.model_card import model_card

CURRENT = "current"
VERSION_FILE = "version.json"
README = "README.md"
FILES = (ADAPTER_WEIGHTS, ADAPTER_CONFIG)
VERSION = re.compile(r"v\d+")
KEPT = 2  # versions beside the one that it is to have, the newest
MOST_BYTES = 1 << 16  # of a version.json

Stamp = tuple[int, ...]  # inode, size, times of change of content and of all


class FolderDriver:
    """Knows one folder.

    Args:
        folder: Where to.
        home: The home, in which it must not lie.
    """

    longest_wait_s = 15.0

    def __init__(self, folder: Path, home: Path) -> None:
        self._folder, self._home = folder, home
        self._checked: dict[Path, tuple[Stamp, str]] = {}

    def has(self, wanted: WantedVersion) -> str | None:
        """Return the version that `current` leads to, with all its bytes, or None."""
        try:
            name = os.readlink(self._folder / CURRENT)
        except OSError:  # there is none yet, or something else
            return None if wanted.folder is not None or self._is_held() else wanted.name
        if wanted.folder is None or name != wanted.name:
            return name if VERSION.fullmatch(name) else None
        return name if self._is_whole(wanted) else None

    def bring(self, wanted: WantedVersion) -> None:
        """Copy a version, unless it is there, and let `current` lead to it."""
        self._expect_outside()
        try:
            if wanted.folder is None:
                (self._folder / CURRENT).unlink(missing_ok=True)
                return
            wanted.expect_whole()
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._is_whole(wanted):
                self._write(wanted, wanted.folder)
            self._link(wanted.name)
        except OSError as error:
            raise PublishError(
                f"expected to write to {self._folder}, got: {error.strerror or error}"
            ) from error

    def tidy(self, wanted: WantedVersion) -> None:
        """Delete all but the newest of the versions that we wrote."""
        try:
            ours = [
                path
                for path in self._folder.iterdir()
                if path.name != wanted.name and _wrote(path)
            ]
            for left in self._folder.glob(".v*.*"):  # of a copy that was broken off
                if left.suffix in {".partial", ".old"}:
                    shutil.rmtree(left)
            ours.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in ours[:-KEPT]:
                shutil.rmtree(path)
        except FileNotFoundError:
            return  # v0 was all that it ever was to have
        except OSError as error:
            raise PublishError(
                f"expected to delete old versions in {self._folder}, got: "
                f"{error.strerror or error}"
            ) from error

    def _is_held(self) -> bool:
        """Return whether something else than our link has its name."""
        return os.path.lexists(self._folder / CURRENT)

    def _is_whole(self, wanted: WantedVersion) -> bool:
        """Return whether a version lies there as it was sealed."""
        folder, hashes = self._folder / wanted.name, wanted.hashes()
        try:
            return _wrote(folder) and all(
                self._hash(folder / name) == hashes.get(name) for name in FILES
            )
        except OSError:
            return False

    def _hash(self, file: Path) -> str:
        """Return the hash of a file, which is read again where it changed alone."""
        info = file.stat(follow_symlinks=False)
        stamp = info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns
        if file not in self._checked or self._checked[file][0] != stamp:
            self._checked[file] = stamp, sha256(file)
        return self._checked[file][1]

    def _write(self, wanted: WantedVersion, source: Path) -> None:
        """Write a version beside its place, then put it there."""
        stage = self._folder / f".{wanted.name}.partial"
        place, old = self._folder / wanted.name, self._folder / f".{wanted.name}.old"
        for left in (stage, old):
            shutil.rmtree(left, ignore_errors=True)
        stage.mkdir()
        for name in FILES:
            shutil.copyfile(source / name, stage / name)
        said = {"version": wanted.name, "base": wanted.base, "sha256": {}}
        said["sha256"] = {name: wanted.hashes()[name] for name in FILES}
        (stage / README).write_text(model_card(wanted), encoding="utf-8")
        (stage / VERSION_FILE).write_text(json.dumps(said, indent=1), encoding="utf-8")
        for file in (*stage.iterdir(), stage):
            disk.sync(file)
        if os.path.lexists(place):
            if not _wrote(place):
                raise PublishError(
                    f"expected {place} to be free or a version of ours, got something "
                    "else; move it away, or name another path"
                )
            place.rename(old)
        stage.rename(place)
        shutil.rmtree(old, ignore_errors=True)

    def _link(self, name: str) -> None:
        """Let `current` lead to a version, in one step for who reads.

        Raises:
            PublishError: Something that is no link has that name.
        """
        link, fresh = self._folder / CURRENT, self._folder / f".{CURRENT}.partial"
        if os.path.lexists(link) and not link.is_symlink():
            raise PublishError(
                f"expected {link} to be a link or free, got something else; move it "
                "away, or name another path"
            )
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(name)
        fresh.replace(link)

    def _expect_outside(self) -> None:
        """Refuse a folder in the home, whose files are the service's alone."""
        home, folder = self._home.resolve(), self._folder.resolve()
        if folder == home or home in folder.parents:
            raise PublishError(f"expected a folder outside of the home, got {folder}")


def _wrote(folder: Path) -> bool:
    """Return whether a folder is a version that we wrote."""
    try:
        said = json.loads(read_plain(folder / VERSION_FILE, most_bytes=MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.get("version") == folder.name
