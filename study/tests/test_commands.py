"""The commands of the study, on plans so small that they take a second a run."""

import json
import re
import shlex
import shutil
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from sleepcycle_study.cli.listings import way
from sleepcycle_study.experiment import results, worker_pool
from sleepcycle_study.experiment.arms import ARMS
from sleepcycle_study.experiment.plan import read_plan
from tests.cli.conftest import PATIENCE_S, Cli, end, kill
from tests.forked import context

PLAN = """
name = "tiny study"
curriculum = "mine.toml"
arms = ["base", "dream"]
seeds = [7]
questions = 3
text = "text.txt"
[wake]
warmup_steps = 1
[model]
target_modules = ["q_proj"]
"""
PHASE = """
[[phases]]
name = "{name}"
domain = "arithmetic"
samples = 8
epochs = 1
consolidate = true
[[phases.forms]]
prompt = "Calculate: {{expression}} ="
answer = "{{value}}"
[[phases.forms]]
language = "it"
prompt = "Calcola: {{expression}} ="
answer = "{{value}}"
"""
CURRICULUM = 'name = "mine"\n' + PHASE.format(name="first") + PHASE.format(name="then")


@dataclass
class Said:
    """What a command printed."""

    out: str
    err: str


@pytest.fixture
def study():
    """Run one command in this process, which has torch already."""
    return in_process


def in_process(*words, exit_code=0):
    """Run one command, which must end as expected, and return what it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_pool, "SPAWN", context())
        done = Cli(Path("no-home")).run(*words, exit_code=exit_code)
    return Said(done.stdout, done.stderr)


@pytest.fixture
def plan(tmp_path):
    """A plan with a curriculum and a text of its own."""
    return write_plan(tmp_path / "plan")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """The folder of that plan's study, made once; a kill came after its first run."""
    place = tmp_path_factory.mktemp("study")
    plan, out = write_plan(place / "plan"), place / "out"
    cli = Cli(place / "no-home")
    started = cli.start("study", "run", plan, "--out", out, "--threads", "1")
    first = finished_first(out)
    kill(started)
    left = [path.name for path in (out / "runs").glob("*.json")]
    said = in_process("study", "run", plan, "--out", out).out
    return out, first, left, said


@pytest.fixture
def made(made_once, tmp_path):
    """A copy of that folder, to do with as a test likes."""
    return Path(shutil.copytree(made_once[0], tmp_path / "made"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def named(plan, made):
    """What words of a command stand for."""
    return {"PLAN": plan, "MADE": made}


def write_plan(folder, plan=PLAN, curriculum=CURRICULUM):
    """Write a plan and what it names, and return its path."""
    folder.mkdir()
    (folder / "mine.toml").write_text(curriculum)
    (folder / "text.txt").write_text("Water is wet.\n\nThe sky is blue.\n")
    (folder / "tiny.toml").write_text(plan)
    return folder / "tiny.toml"


def start_long(folder, *words):
    """Start a study that ends its first run soon, and none of its others."""
    long = CURRICULUM.replace("samples = 8", "samples = 5000")
    plan, out = write_plan(folder / "plan", curriculum=long), folder / "out"
    cli = Cli(folder / "home")
    return cli.start("study", "run", plan, "--out", out, *words), out


def finished_first(out):
    """Wait for the first run, and return its bytes."""
    path = out / "runs" / "base-7.json"
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_bytes()


def stamps(folder):
    """Return what tells whether runs were written again."""
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in runs(folder)}


def runs(folder):
    return sorted((folder / "runs").glob("*.json"))


class TestRun:
    def test_what_a_kill_left_stays_byte_for_byte_and_the_rest_is_made(self, made_once):
        out, first, left, said = made_once

        assert left == ["base-7.json"]
        assert (out / "runs" / "base-7.json").read_bytes() == first
        assert [run.arm for run in results.read(out)] == ["base", "dream"]
        assert f"{out}: 1 of 2 there already, 1 run to make\n" in said
        assert re.search(r"\[1/1\] dream, seed 7: exact \d+%, .*tokens trained", said)
        assert f"2 of 2 runs in {out}\n" in said
        assert f"sleepcycle study report {out}" in said

    def test_no_home_is_made(self, made_once):
        assert not (made_once[0].parent / "no-home").exists()

    def test_a_second_time_there_is_nothing_to_do(self, study, made, plan):
        before = stamps(made)

        said = study("study", "run", plan, "--out", made)

        assert "2 of 2 there already, 0 runs to make" in said.out
        assert stamps(made) == before

    def test_runs_of_other_code_are_kept_and_that_is_said(self, study, made, plan):
        [first, *_] = runs(made)
        outcome = results.read_run(first)
        settings = {**outcome.settings, results.CODE: "0123"}
        results.write(made, replace(outcome, settings=settings))

        said = study("study", "run", plan, "--out", made)

        assert "2 of 2 there already, 0 runs to make" in said.out
        assert "of these, 1 run of another version of the code; to make" in said.out

    def test_the_folder_goes_on_by_its_own_plan_wherever_it_is(self, study, made):
        before = stamps(made)

        said = study("study", "run", made / "plan.toml", "--out", made)

        assert "2 of 2 there already" in said.out
        assert stamps(made) == before

    def test_the_kept_plan_is_the_plan_in_effect(self, made, plan):
        kept, given = read_plan(made / "plan.toml"), read_plan(plan)

        moved = {"folder", "curriculum", "text"}
        assert kept.model_dump(exclude=moved) == given.model_dump(exclude=moved)
        assert kept.lessons().model_dump() == given.lessons().model_dump()
        assert (made / kept.text).read_text() == (plan.parent / "text.txt").read_text()

    def test_runs_by_an_edited_curriculum_are_made_again(self, study, made, plan):
        lessons = plan.parent / "mine.toml"
        lessons.write_text(lessons.read_text().replace("Calculate", "Work out", 1))
        words = ["run", plan, "--out", made, "--arms", "base", "--json"]

        found = json.loads(study("study", *words).out)

        assert found == {
            "folder": str(made),
            "wanted": 1,
            "there": 1,
            "made": [{"arm": "base", "seed": 7, "file": "runs/base-7.json"}],
            "diverged": [],
        }
        said = study("study", "report", made)
        assert "The runs differ in their settings: curriculum" in said.out

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_ctrl_c_leaves_what_is_finished_and_says_how_to_go_on(self, tmp_path, jobs):
        """
        With several processes, all of them get the signal, as on a terminal.
        """
        started, out = start_long(tmp_path, "--jobs", jobs)
        first = finished_first(out)

        code, said = end(started, signal.SIGINT)

        assert code == 1
        assert "sleepcycle: stopped; 1 of 2 runs are kept" in said
        assert "the same command goes on from there" in said
        assert "Traceback" not in said
        assert [path.read_bytes() for path in runs(out)] == [first]

    def test_processes_end_with_the_one_that_started_them(self, tmp_path):
        """
        Even where it is killed outright, and so cannot tell them.
        """
        started, out = start_long(tmp_path, "--jobs", "2")
        first = finished_first(out)
        children = psutil.Process(started.pid).children(recursive=True)
        assert children

        kill(started)

        assert psutil.wait_procs(children, timeout=PATIENCE_S)[1] == []
        assert [path.read_bytes() for path in runs(out)] == [first]

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_a_run_that_diverges_is_told_and_the_next_finds_the_base_bare(
        self, study, made, tmp_path, jobs
    ):
        wild = PLAN.replace('["base", "dream"]', '["phases", "base"]')
        wild = wild.replace("[wake]", "[wake]\nlr = 1e6\nmax_loss = 4.0")
        plan = write_plan(tmp_path / "plan", wild)
        out = tmp_path / "out"

        words = ["run", plan, "--out", out, "--jobs", jobs]
        said = study("study", *words, exit_code=1)

        assert re.search(r"\n\[\d/2\] phases, seed 7: diverged: ", said.out)
        assert re.search(r"\n\[\d/2\] base, seed 7: exact", said.out)
        assert ("base, seed 7: begun\n" in said.out) == (jobs > 1)
        assert f"1 of 2 runs in {out}; 1 diverged" in said.out
        alone = results.read_run(made / "runs" / "base-7.json")
        assert results.read_run(out / "runs" / "base-7.json").answers == alone.answers

    def test_the_folder_is_called_after_the_plan(self, study, here, made, plan):
        made.rename(here / "study-tiny-study")

        said = study("study", "run", plan)

        assert said.out.startswith("study-tiny-study: 2 of 2 there already")


class TestReport:
    def test_three_files_that_need_nothing_else(self, study, made):
        said = study("study", "report", made)

        page = (made / "report.html").read_text()
        assert "tiny study" in page
        assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!["']?#)|url\(""", page)
        assert "tiny study" in (made / "report.md").read_text()
        assert json.loads((made / "report.json").read_text())
        first = [line.split()[0] for line in said.out.splitlines() if line.strip()]
        header = first.index("arm")
        assert first[header + 1 : header + 3] == ["base", "dream"]

    def test_what_the_kept_plan_expects_and_is_not_there_is_said(self, study, made):
        (made / "runs" / "dream-7.json").unlink()

        said = study("study", "report", made, "--out", made / "else")

        assert "The arm dream was not run (seeds 7)." in said.out
        assert "The arm dream was not run" in (made / "else/report.md").read_text()
        assert not (made / "report.md").exists()

    def test_another_plan_may_say_what_is_expected(self, study, made, plan):
        more = plan.with_name("more.toml")
        more.write_text(PLAN.replace("seeds = [7]", "seeds = [7, 8]"))

        said = study("study", "report", made, "--plan", more)

        assert "The arm base lacks seeds: 8." in said.out

    def test_a_folder_without_a_plan_is_reported_on_as_it_is(self, study, made):
        (made / "plan.toml").unlink()

        said = study("study", "report", made)

        assert "lacks seeds" not in said.out
        assert "tiny study" in (made / "report.md").read_text()


class TestPack:
    def test_a_report_on_the_packed_file_is_that_on_the_folder(self, study, made, here):
        report = study("study", "report", made, "--out", "by-folder").out

        said = study("study", "pack", made)
        again = study("study", "report", "made.tar.xz").out

        assert re.match(r"made\.tar\.xz: 2 runs, [\d,]+ bytes\n", said.out)
        assert again == report.replace("by-folder", "report-made")
        for name in ("report.html", "report.md", "report.json"):
            by_folder, by_file = here / "by-folder" / name, here / "report-made" / name
            assert by_file.read_bytes() == by_folder.read_bytes()

    def test_a_report_on_the_packed_file_goes_where_it_is_told(self, study, made, here):
        study("study", "pack", made, "--out", here / "there" / "tiny.tar.xz")

        study("study", "report", here / "there" / "tiny.tar.xz", "--out", "pages")

        assert (here / "pages" / "report.md").is_file()

    def test_a_packed_file_that_is_cut_off_is_one_line(self, study, made, here):
        study("study", "pack", made)
        path = here / "made.tar.xz"
        path.write_bytes(path.read_bytes()[:-20])

        said = study("study", "report", path, exit_code=1)

        assert said.err.startswith(f"sleepcycle: expected {path} as it was packed, got")
        assert len(said.err.splitlines()) == 1


class TestWrite:
    def test_what_is_written_can_be_fed_as_is_printed(self, study, tmp_path):
        home, out = tmp_path / "home", tmp_path / "the lessons"
        study("--home", home, "init")
        (mine := tmp_path / "mine.toml").write_text(CURRICULUM)

        said = study("study", "write", mine, "--out", out, "--seed", 3)

        assert [path.name for path in sorted(out.iterdir())] == [
            "1-first.jsonl",
            "2-then.jsonl",
        ]
        for line, source in zip(said.out.splitlines(), ("first", "then"), strict=True):
            words = shlex.split(line)
            assert words[:4] == ["sleepcycle", "feed", "--source", source]
            dry = study("--home", home, *words[1:], "--dry-run", "--json")
            fed = json.loads(dry.out)
            assert (fed["lines"], fed["quarantined"]) == (8, 0)

    def test_a_seed_and_a_language_decide_the_lessons(self, study, tmp_path):
        (mine := tmp_path / "mine.toml").write_text(CURRICULUM)

        def written(name, *words):
            study("study", "write", mine, "--out", tmp_path / name, *words)
            return [path.read_text() for path in sorted((tmp_path / name).iterdir())]

        one = written("one")

        assert written("same") == one
        assert written("other", "--seed", 1) != one
        assert "Calcola" in "".join(written("it", "--language", "it"))


class TestList:
    def test_people_see_what_is_built_in(self, study):
        said = study("study", "list")

        assert "four_phases" in said.out
        assert "quick" in said.out
        assert "domains: arithmetic, logic, facts, code" in said.out

    def test_programs_get_names_that_the_other_commands_take(self, study, tmp_path):
        found = json.loads(study("study", "list", "--json").out)

        assert found["plans"]["quick"]["seeds"] == [42]
        assert set(found["arms"]) == set(ARMS)
        assert found["domains"] == ["arithmetic", "logic", "facts", "code"]
        for name, phases in found["curricula"].items():
            lessons = read_plan(asked(tmp_path, name)).lessons()
            assert phases == [phase.name for phase in lessons.phases]

    @pytest.mark.parametrize(
        ("arm", "words"),
        [
            ("base", "not at all"),
            ("flat", "all phases at once"),
            ("last phase", "the last phase alone"),
            ("phases", "phase by phase"),
            (
                "dream",
                "phase by phase, a night where the curriculum folds: svd (rank 8)",
            ),
            (
                "cycle",
                "phase by phase, none of them at a lower learning rate, replaying what "
                "is known, a night after every phase: svd then rem",
            ),
            (
                "replay",
                "phase by phase, none of them at a lower learning rate, replaying what "
                "is known",
            ),
            ("flat, folded", "all phases at once, a night at the end: svd (rank 8)"),
        ],
    )
    def test_an_arm_is_said_in_words(self, arm, words):
        assert way(ARMS[arm]) == words


def asked(folder, curriculum):
    """Write a plan for a curriculum that is built in."""
    path = folder / f"{curriculum}.toml"
    path.write_text(f'curriculum = "{curriculum}"\narms = ["base"]\n')
    return path


FILE_PHASE = 'name = "mine"\n[[phases]]\nname = "own"\nfile = "rows.jsonl"\n'


class TestErrors:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["run", "nope"], "expected a study's plan in nope, got: No such file"),
            (["run", "PLAN", "--arms", "nope"], "expected arms of the plan"),
            (["run", "PLAN", "--arms", "base", "--arms", "flat"], "got flat"),
            (["run", "PLAN", "--seeds", "9"], "expected seeds of the plan (7), got 9"),
            (["run", "PLAN", "--base", "builtin:no"], "there is no builtin:no"),
            (["run", "quick", "--out", "MADE"], "or of the study 'quick', got that of"),
            (["run", "PLAN", "--out", "MADE", "--limit", "4"], "with questions = 4"),
            (["run", "PLAN", "--out", "MADE", "--base", "no"], 'model.base = "no"'),
            (["report", "nope"], "expected the runs of a study in nope, got none"),
            (["report", "PLAN"], "or that folder packed, in"),
            (["pack", "nope"], "expected the runs of a study in nope, got none"),
            (["pack", "MADE", "--out", "runs.zip"], "to be called NAME.tar.xz, got"),
            (["report", "MADE", "--plan", "nope"], "expected a study's plan in nope"),
            (["write", "nope"], "expected a curriculum in nope, got: No such file"),
            (["write", "logic", "--language", "xx"], 'for language "xx"'),
        ],
    )
    def test_a_foreseen_fault_is_one_line(self, study, here, named, words, message):
        made = named["MADE"]
        before = stamps(made), (made / "plan.toml").read_bytes()
        there = set(here.iterdir())

        said = study("study", *(named.get(word, word) for word in words), exit_code=1)

        assert said.err.startswith("sleepcycle: ")
        assert len(said.err.splitlines()) == 1
        assert message in said.err
        assert (stamps(made), (made / "plan.toml").read_bytes()) == before
        assert set(here.iterdir()) == there

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"dream"', '"nope"', "expected arms among"),
            ("questions = 3", "questions = 0", "questions: expected"),
            ("questions = 3", "question = 3", "did you mean questions?"),
            ("questions = 3", "questions 3", "expected TOML, got"),
            ('"mine.toml"', '"no.toml"', "expected a curriculum in"),
            ('"text.txt"', '"no.txt"', "expected a text file in"),
        ],
    )
    def test_a_wrong_plan_is_one_line(self, study, tmp_path, old, new, message):
        plan = write_plan(tmp_path / "plan", PLAN.replace(old, new))

        said = study("study", "run", plan, "--out", tmp_path / "out", exit_code=1)

        assert said.err.startswith("sleepcycle: ")
        assert len(said.err.splitlines()) == 1
        assert message in said.err
        assert not runs(tmp_path / "out")

    @pytest.mark.parametrize("command", ["run", "write"])
    def test_a_phase_with_rows_of_its_own_is_one_line(self, study, tmp_path, command):
        plan = write_plan(tmp_path / "plan", curriculum=FILE_PHASE)
        given = plan if command == "run" else plan.with_name("mine.toml")

        said = study("study", command, given, "--out", tmp_path / "out", exit_code=1)

        assert "expected every phase of a study to have a domain" in said.err
        assert len(said.err.splitlines()) == 1

    def test_a_damaged_run_is_named_and_kept(self, study, made, plan):
        path = made / "runs" / "base-7.json"
        path.write_bytes(path.read_bytes()[:-100])

        said = study("study", "run", plan, "--out", made, exit_code=1)

        assert f"{path}" in said.err
        assert "delete it" in said.err

    @pytest.mark.parametrize("device", ["gpu", "cuda:x", ""])
    def test_an_unknown_device_is_wrong_usage(self, study, plan, device):
        said = study("study", "run", plan, "--device", device, exit_code=2)

        assert "expected auto, cpu, mps, cuda" in said.err

    @pytest.mark.parametrize("jobs", [0, -1])
    def test_no_process_at_all_is_wrong_usage(self, study, plan, jobs):
        said = study("study", "run", plan, "--jobs", jobs, exit_code=2)

        assert "Invalid value for '--jobs'" in said.err
