"""A study's folder in one file: a tar of its plan and its runs, compressed by xz."""

import lzma
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from sleepcycle.files import disk
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import planfile, results, taskfiles
from sleepcycle_study.experiment.plan import StudyPlan, parse_plan
from sleepcycle_study.experiment.results import StudyRun

SUFFIX = ".tar.xz"
MAGIC = b"\xfd7zXZ\x00"
PRESET = 7 | lzma.PRESET_EXTREME  # a window of 16 MiB; more takes 700 MB to write
MODE = 0o644
AGAIN = "take it anew from where it came, or pack its folder again"


@dataclass(frozen=True, slots=True)
class PackedStudy:
    """What a packed study holds."""

    path: Path
    """Of the packed file."""

    files: Mapping[str, bytes]
    """By name below the study's folder."""

    def outcomes(self) -> list[StudyRun]:
        """Return the runs by arm and seed.

        Raises:
            StudyError: One of them is not as it was written.
        """
        runs = (
            results.parse_run(self.path / name, data)
            for name, data in self.files.items()
            if _is_run(name)
        )
        return sorted(runs, key=lambda outcome: (outcome.arm, outcome.seed))

    def plan(self) -> StudyPlan | None:
        """Return the plan that the study was run with, None where none was packed.

        Raises:
            ConfigError: It is wrong.
        """
        data = self.files.get(planfile.PLAN)
        return None if data is None else parse_plan(data, self.path / planfile.PLAN)


def pack(folder: Path, out: Path) -> list[StudyRun]:
    """Write a study's plan, what the plan names, and its runs into one file.

    The same folder gives the same bytes. Reports are left out, for they are made from
    the runs.

    Args:
        folder: Where the runs are.
        out: The file; its name without the suffix is the folder's inside.

    Returns:
        The runs that were packed.

    Raises:
        StudyError: The file's name is no packed study's, there are no runs, or one of
            them is damaged.
        ConfigError: The folder's plan is wrong.
        DiskError: A file cannot be read, or the disk could not keep the packed one.
    """
    if not out.name.endswith(SUFFIX) or out.name == SUFFIX:
        raise StudyError(
            f"expected the packed file to be called NAME{SUFFIX}, got {out}; give it "
            "such a name"
        )
    if not (outcomes := results.read(folder)):
        raise results.no_runs(folder)
    planfile.kept(folder)
    plain = _tar(folder, out.name.removesuffix(SUFFIX))
    disk.make(out.parent)
    disk.write_bytes(out, lzma.compress(plain, preset=PRESET))
    return outcomes


def read_packed(path: Path) -> PackedStudy:
    """Read what `pack` wrote, into memory.

    Raises:
        StudyError: The file is damaged or cut off, or is no packed study.
        DiskError: It cannot be read.
    """
    plain = _uncompressed(path, disk.read_bytes(path))
    try:
        with tarfile.open(fileobj=BytesIO(plain), mode="r:") as tar:
            files = {_inner(member): _content(tar, member) for member in tar}
    except tarfile.TarError as error:
        raise _foreign(path) from error
    if not any(_is_run(name) for name in files):
        raise _foreign(path)
    return PackedStudy(path, files)


def _tar(folder: Path, top: str) -> bytes:
    """Return a study's files as a tar whose names begin with a folder's."""
    plain = BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path in _kept(folder):
            data = disk.read_bytes(path)
            member = tarfile.TarInfo(f"{top}/{path.relative_to(folder).as_posix()}")
            member.size, member.mode = len(data), MODE
            tar.addfile(member, BytesIO(data))
    return plain.getvalue()


def _kept(folder: Path) -> Iterator[Path]:
    """Yield the files of a study's folder, but for its reports."""
    for name in (planfile.CURRICULUM, planfile.PLAN, planfile.TEXT):
        if (folder / name).is_file():
            yield folder / name
    yield from taskfiles.files(folder / taskfiles.KEPT)
    yield from sorted((folder / results.RUNS).glob("*.json"))


def _uncompressed(path: Path, data: bytes) -> bytes:
    """Return what was compressed, all of it and nothing else."""
    if not data.startswith(MAGIC):
        raise _foreign(path)
    xz = lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    try:
        plain = xz.decompress(data)
    except lzma.LZMAError as error:
        raise _damaged(path, str(error)) from error
    if not xz.eof:
        raise _damaged(path, "its beginning alone")
    if xz.unused_data:
        raise _damaged(path, f"{len(xz.unused_data)} bytes behind its end")
    return plain


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return a member's bytes; a folder or a link has none."""
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file else b""


def _inner(member: tarfile.TarInfo) -> str:
    """Return a member's name below the study's folder."""
    return "/".join(PurePosixPath(member.name).parts[1:])


def _is_run(name: str) -> bool:
    """Return whether a file of that name is a run."""
    return PurePosixPath(name).match(f"{results.RUNS}/*.json")


def _damaged(path: Path, got: str) -> StudyError:
    """Return what is said of a packed study that is not whole."""
    return StudyError(f"expected {path} as it was packed, got {got}; {AGAIN}")


def _foreign(path: Path) -> StudyError:
    """Return what is said of a file that is no packed study."""
    return StudyError(
        f"expected the folder of a study's runs, or that folder packed, in {path}, got "
        "another file; pack one with: sleepcycle study pack FOLDER"
    )
