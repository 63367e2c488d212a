"""A study's folder in one file."""

import lzma
import tarfile
from dataclasses import replace
from io import BytesIO

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import planfile, results
from sleepcycle_study.experiment.packed import pack, read_packed
from sleepcycle_study.experiment.plan import StudyPlan
from sleepcycle_study.experiment.results import GradedAnswer, StudyRun

RUN = StudyRun(
    study="mine",
    arm="base",
    seed=1,
    base="builtin:nano",
    domain="logic",
    tokens_trained=0,
    tokens_read=300,
    seconds=1.5,
    rank=0,
    answers=(
        GradedAnswer("tool-0", "tool", "Solve: 8 * 9", "é\n\x00\ud800", {}, "8 * 9"),
    ),
)


@pytest.fixture
def folder(tmp_path):
    """A study's folder: a plan with a text, two runs, and a report."""
    (given := tmp_path / "given").mkdir()
    (given / "words.txt").write_text("Wasser ist naß.\n", encoding="utf-8")
    plan = StudyPlan(
        name="mine", curriculum="logic", arms=["base"], seeds=[1, 2], text="words.txt"
    )
    plan._folder = given
    planfile.keep(plan, tmp_path / "study")
    results.write(tmp_path / "study", RUN)
    results.write(tmp_path / "study", replace(RUN, seed=2))
    (tmp_path / "study" / "report.md").write_text("made from the runs")
    return tmp_path / "study"


@pytest.fixture
def packed(folder, tmp_path):
    """That folder, packed."""
    pack(folder, tmp_path / "mine.tar.xz")
    return tmp_path / "mine.tar.xz"


def tar_of(**files):
    """Return a tar, compressed by xz, of files below a folder."""
    plain = BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"top/{name}")
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    return lzma.compress(plain.getvalue())


class TestPack:
    def test_the_runs_are_read_as_from_the_folder(self, folder, packed):
        assert read_packed(packed).outcomes() == results.read(folder)

    def test_the_plan_is_read_as_from_the_folder(self, folder, packed):
        kept = planfile.kept(folder)

        assert read_packed(packed).plan().model_dump() == kept.model_dump()

    def test_tar_gives_the_folder_back_byte_for_byte_without_its_report(
        self, folder, packed, tmp_path
    ):
        with tarfile.open(packed) as tar:
            tar.extractall(tmp_path / "out", filter="data")

        found = {
            path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
            for path in (tmp_path / "out").rglob("*")
            if path.is_file()
        }
        names = ["plan.toml", "text.txt", "runs/base-1.json", "runs/base-2.json"]
        assert found == {f"mine/{name}": (folder / name).read_bytes() for name in names}

    def test_a_curriculum_and_tasks_that_the_folder_keeps_are_packed(
        self, folder, tmp_path
    ):
        (folder / "curriculum.toml").write_text('name = "own"')
        (folder / "harness" / "0a1b").mkdir(parents=True)
        (folder / "harness" / "0a1b" / "data.bin").write_bytes(b"\xff\x00")

        pack(folder, tmp_path / "mine.tar.xz")

        files = read_packed(tmp_path / "mine.tar.xz").files
        assert files["curriculum.toml"] == b'name = "own"'
        assert files["harness/0a1b/data.bin"] == b"\xff\x00"

    def test_the_same_folder_gives_the_same_bytes(self, folder, packed, tmp_path):
        again = tmp_path / "new" / "mine.tar.xz"
        (folder / "runs" / "base-1.json").touch()

        pack(folder, again)

        assert again.read_bytes() == packed.read_bytes()

    def test_a_folder_without_a_plan_is_packed_as_it_is(self, folder, tmp_path):
        (folder / "plan.toml").unlink()

        pack(folder, tmp_path / "mine.tar.xz")

        assert read_packed(tmp_path / "mine.tar.xz").plan() is None

    def test_a_damaged_run_is_refused_and_nothing_is_written(self, folder, tmp_path):
        run = folder / "runs" / "base-1.json"
        run.write_text(run.read_text().replace("1.5", "2.5"))

        with pytest.raises(StudyError, match=r"base-1\.json as it was written"):
            pack(folder, tmp_path / "mine.tar.xz")
        assert not (tmp_path / "mine.tar.xz").exists()

    def test_a_folder_without_runs_is_refused(self, tmp_path):
        with pytest.raises(StudyError, match="expected the runs of a study in"):
            pack(tmp_path, tmp_path / "mine.tar.xz")

    @pytest.mark.parametrize("name", ["mine.zip", "mine", ".tar.xz"])
    def test_another_kind_of_name_is_refused(self, folder, tmp_path, name):
        with pytest.raises(StudyError, match=r"to be called NAME\.tar\.xz, got"):
            pack(folder, tmp_path / name)


class TestFaults:
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_a_file_that_is_cut_off_is_refused(self, packed, share):
        whole = packed.read_bytes()
        packed.write_bytes(whole[: int(len(whole) * share)])

        with pytest.raises(StudyError, match="as it was packed, got its beginning al"):
            read_packed(packed)

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
    def test_a_changed_byte_is_found(self, packed, share):
        whole = bytearray(packed.read_bytes())
        whole[int(len(whole) * share)] ^= 0xFF
        packed.write_bytes(whole)

        with pytest.raises(StudyError, match="as it was packed, got "):
            read_packed(packed)

    def test_bytes_behind_the_end_are_refused(self, packed):
        packed.write_bytes(packed.read_bytes() + b"more")

        with pytest.raises(StudyError, match="got 4 bytes behind its end"):
            read_packed(packed)

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b'name = "a plan"\n', id="text"),
            pytest.param(lzma.compress(b"no tar" * 200), id="no tar"),
            pytest.param(tar_of(**{"notes.txt": b"no runs"}), id="no runs"),
        ],
    )
    def test_another_file_is_refused_and_what_is_wanted_is_said(self, packed, data):
        packed.write_bytes(data)

        with pytest.raises(StudyError, match="got another file; pack one with: sleep"):
            read_packed(packed)

    def test_a_run_that_was_changed_before_packing_is_named(self, folder, packed):
        body = (folder / "runs" / "base-1.json").read_bytes().replace(b"1.5", b"2.5")
        packed.write_bytes(tar_of(**{"runs/base-1.json": body}))

        with pytest.raises(StudyError, match=r"mine\.tar\.xz/runs/base-1\.json as it"):
            read_packed(packed).outcomes()

    def test_a_wrong_plan_is_named(self, folder, packed):
        run = (folder / "runs" / "base-1.json").read_bytes()
        packed.write_bytes(tar_of(**{"runs/base-1.json": run, "plan.toml": b"arms ="}))

        with pytest.raises(
            ValueError, match=r"mine\.tar\.xz/plan\.toml: expected TOML"
        ):
            read_packed(packed).plan()
