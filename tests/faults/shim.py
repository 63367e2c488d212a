"""Systems that fail: the calls of the file layer, counted, refused, or cut off."""

import errno
import os
import random
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sleepcycle.files import disk

DATABASE = "sleepcycle.db"  # and what SQLite keeps beside it: it answers for itself


class Counting(disk.System):
    """The real system, with every call counted."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.paths: dict[int, Path] = {}

    def meet(self, name: str, path: Path) -> None:
        """Take note of a call that is about to be made."""
        self.calls[name] += 1

    def open(self, path, flags):
        self.meet("open", path)
        handle = super().open(path, flags)
        self.paths[handle] = path
        return handle

    def write(self, handle, data):
        self.meet("write", self.paths[handle])
        return super().write(handle, data)

    def fsync(self, handle):
        self.meet("fsync", self.paths[handle])  # and no real one: it takes its time

    def rename(self, source, target):
        self.meet("rename", source)
        super().rename(source, target)

    def mkdir(self, path):
        self.meet("mkdir", path)
        super().mkdir(path)

    def unlink(self, path):
        self.meet("unlink", path)
        super().unlink(path)

    def rmdir(self, path):
        self.meet("rmdir", path)
        super().rmdir(path)


class Failing(Counting):
    """Fails the `at`-th call of one name, and all later ones where it `persists`."""

    def __init__(self, name: str, at: int, code: int, *, persists: bool) -> None:
        super().__init__()
        self.name, self.at, self.code, self.persists = name, at, code, persists
        self.failed: list[Path] = []
        self.flushed_after: list[Path] = []
        """What was flushed after a flush had failed: nothing may be."""

    def meet(self, name, path):
        super().meet(name, path)
        if name == "fsync" and self.failed and self.name == "fsync":
            self.flushed_after.append(path)
        due = self.calls[name] == self.at
        if name == self.name and (due or (self.persists and self.failed)):
            self.failed.append(path)
            raise OSError(self.code, os.strerror(self.code), str(path))


class PowerCut(BaseException):
    """The machine is off: no handler of ours answers it."""


@dataclass(eq=False)
class Node:
    """A file or folder, and what of it is sure to outlive a cut."""

    handle: int
    """Keeps the inode, so that its number stands for nothing else."""

    content: bytes | None = None
    """Of a file that was flushed."""

    inside: dict[str, "Node"] = field(default_factory=dict)
    """Of a folder, by name, as of its last flush."""


Tree = dict[str, "bytes | Tree"]


class Durable(Counting):
    """The real system, with a model of what would be left after a power cut.

    A file keeps what it held when it was last flushed, and a folder the names that it
    had then; what came after may be lost, each thing by itself. What is written past
    this layer is seen when its file or its folder is flushed.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.cut_at = 0
        self.nodes: dict[int, Node] = {}  # by inode
        self.places: dict[int, Path] = {}
        for path in sorted(root.rglob("*"), reverse=True):  # leaves first
            self._flushed(path)
        self._flushed(root)

    def forget(self) -> None:
        """Let go of every inode."""
        for node in self.nodes.values():
            os.close(node.handle)
        self.nodes.clear()

    def meet(self, name, path):
        """Cut the power before the `cut_at`-th flush or rename; dead is dead."""
        done = self.calls["fsync"] + self.calls["rename"]
        if self.cut_at and done >= self.cut_at:
            raise PowerCut
        super().meet(name, path)
        if self.cut_at and self.calls["fsync"] + self.calls["rename"] == self.cut_at:
            raise PowerCut

    def fsync(self, handle):
        super().fsync(handle)
        self._flushed(self.paths[handle])

    def after(self, *, rng: random.Random | None, torn: bool) -> Tree:
        """Return what a cut at this moment leaves, the database apart.

        Args:
            rng: Chooses what else survives; None where nothing does that need not.
            torn: Leave the first half of what was written and not flushed.
        """
        self.places = {
            path.lstat().st_ino: path for path in (self.root, *self.root.rglob("*"))
        }
        return self._folder_after(self._node(self.root), self.root, rng, torn)

    def _node(self, path: Path) -> Node:
        """Return what stands for a file or folder that is there."""
        inode = path.lstat().st_ino
        if inode not in self.nodes:
            self.nodes[inode] = Node(os.open(path, os.O_RDONLY))
        return self.nodes[inode]

    def _flushed(self, path: Path) -> None:
        """Note what a flush of a file or folder makes sure."""
        if not path.is_relative_to(self.root):
            return
        node = self._node(path)
        if path.is_dir():
            node.inside = {name: self._node(path / name) for name in self._names(path)}
        elif not path.name.startswith(DATABASE):
            node.content = path.read_bytes()

    def _names(self, folder: Path) -> list[str]:
        """Return the names in a folder that the model answers for."""
        names = sorted(path.name for path in folder.iterdir())
        if folder == self.root:
            return [name for name in names if not name.startswith(DATABASE)]
        return names

    def _folder_after(
        self, node: Node, now: Path | None, rng: random.Random | None, torn: bool
    ) -> Tree:
        """Return what is left of a folder, which is at `now` or nowhere any more."""
        there = {name: now / name for name in self._names(now)} if now else {}
        left: Tree = {}
        for name in sorted(node.inside.keys() | there.keys()):
            sure = node.inside.get(name)
            last = self._node(there[name]) if name in there else None
            kept = last if rng is not None and rng.random() < 0.5 else sure
            if kept is not None:
                left[name] = self._left(kept, rng, torn)
        return left

    def _left(
        self, node: Node, rng: random.Random | None, torn: bool
    ) -> "bytes | Tree":
        """Return what is left of a file or folder."""
        found = os.fstat(node.handle)
        if stat.S_ISDIR(found.st_mode):
            return self._folder_after(node, self.places.get(found.st_ino), rng, torn)
        sure = node.content or b""
        last = os.pread(node.handle, found.st_size, 0)
        if last == sure:
            return sure
        if torn:
            return last[: len(last) // 2]
        if rng is None:
            return sure
        return rng.choice([sure, last, last[: len(last) // 2], bytes(len(last))])


class Quota(Counting):
    """A disk with so many bytes left; deleting gives its bytes back."""

    def __init__(self, left_bytes: int) -> None:
        super().__init__()
        self.left_bytes = left_bytes

    def write(self, handle, data):
        fits = bytes(data)[: self.left_bytes]
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        wrote = super().write(handle, fits)
        self.left_bytes -= wrote
        return wrote

    def open(self, path, flags):
        if flags & os.O_TRUNC:
            self._give_back(path)
        return super().open(path, flags)

    def rename(self, source, target):
        if target.is_file():
            self._give_back(target)
        super().rename(source, target)

    def unlink(self, path):
        self._give_back(path)
        super().unlink(path)

    def free_bytes(self, path):
        return self.left_bytes

    def _give_back(self, path: Path) -> None:
        """Count the bytes of a file that goes."""
        if path.is_file():
            self.left_bytes += path.stat().st_size


def put_back(tree: Tree, root: Path) -> None:
    """Make a home what a cut left of it; the database stays as it is."""
    for path in root.iterdir():
        if not path.name.startswith(DATABASE):
            disk.remove(path)
    _grow(tree, root)


def _grow(tree: Tree, folder: Path) -> None:
    """Write a tree into a folder."""
    for name, left in tree.items():
        if isinstance(left, bytes):
            (folder / name).write_bytes(left)
        else:
            (folder / name).mkdir()
            _grow(left, folder / name)


def numbers(total: int, most: int | None) -> Iterator[int]:
    """Yield 1 to `total`, or about `most` of them spread over all."""
    step = 1 if most is None else max(1, total // most)
    yield from range(1 + step // 2 if step > 1 else 1, total + 1, step)
