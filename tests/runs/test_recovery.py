"""Recovery: whatever a kill left half done is finished or undone, once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from sleepcycle.errors import ManifestError
from sleepcycle.feed import feed_lock
from sleepcycle.files import disk
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.files.sealed import seal, verify
from sleepcycle.records.run_order import RunState
from sleepcycle.records.version import Card, Version, VersionKind
from sleepcycle.runs.publish import card_of, read_card, seal_version
from sleepcycle.runs.recovery import recover
from sleepcycle.runs.run import sleep, wake
from sleepcycle.store import run_table, version_table
from tests.counting import count_examples
from tests.half_fed import count_half_fed, leave_half_a_feed
from tests.journaled import journal_entries
from tests.runs.conftest import BASE, WAKE_REPORT, leave_checkpoint

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours answers it."""


def no_progress(progress):
    """Take a heartbeat."""


def kill(run):
    raise Killed("before the end")


@pytest.fixture
def killed_while_computing(context, feed, engine):
    """A home whose wake was killed while its worker computed."""
    feed("a", "b")
    engine.instead = kill
    with pytest.raises(Killed, match="before the end"):
        wake(context, no_progress)
    engine.instead = None


@pytest.fixture
def killed_after_sealing(killed_while_computing, context, tmp_path):
    """A home whose wake was killed between the seal and the commit."""
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    card = Card(
        number=1,
        kind=VersionKind.WAKE,
        parents=(0,),
        accepted=True,
        rank=16,
        created_at=datetime.now(UTC),
        base=BASE,
        batches={1: 2},
        sleepcycle="0",
        run=1,
        report=WAKE_REPORT,
    )
    return seal_version(context.paths, adapter, card)


def state(context):
    """Return all that recovery may change."""
    with context.store.read() as session:
        return (
            count_examples(session),
            version_table.aliases(session),
            [run.state for run in run_table.list_runs(session, 10)],
            sorted(path.name for path in context.paths.versions.iterdir()),
        )


@pytest.mark.usefixtures("killed_while_computing")
def test_a_run_killed_before_its_seal_is_undone(context):
    recover(context)

    counts, names, ended, folders = state(context)
    assert (counts.pending, counts.claimed) == (2, 0)
    assert (names, ended, folders) == ({"live": 0}, [RunState.FAILED], [])


@pytest.mark.usefixtures("killed_after_sealing")
def test_no_folder_of_a_killed_run_keeps_its_examples(context):
    """
    Neither of one that is undone, nor of one that is recorded.
    """
    given = context.paths.run(1) / "examples.jsonl"
    assert given.exists()

    recover(context)

    assert not given.exists()
    assert (context.paths.run(1) / "run.json").exists()


class TestCheckpoint:
    """A wake that a crash broke off at a checkpoint is paused instead."""

    @pytest.fixture
    def kept(self, context, killed_while_computing):
        """The checkpoint that its worker has kept."""
        return leave_checkpoint(RunFolder(context.paths.run(1)))

    @pytest.mark.usefixtures("kept")
    def test_the_next_wake_goes_on_with_it(self, context, logged):
        recover(context)

        counts, _, ended, _ = state(context)
        assert (counts.claimed, ended) == (2, [RunState.PAUSED])
        assert "run 1 was paused at step 120 of 400" in logged.getvalue()
        outcome = wake(context, no_progress)
        assert (outcome.run, outcome.examples) == (1, 2)

    def test_a_damaged_one_is_none(self, context, kept):
        (kept / "state.json").write_text("{}")

        recover(context)

        counts, _, ended, _ = state(context)
        assert (counts.pending, ended) == (2, [RunState.FAILED])

    @pytest.mark.usefixtures("kept")
    def test_recovering_again_leaves_it_and_its_examples(self, context):
        """
        Every command recovers before it does anything.
        """
        recover(context)
        once = state(context)

        recover(context)

        assert state(context) == once
        assert RunFolder(context.paths.run(1)).is_given()
        assert RunFolder(context.paths.run(1)).reached() == (120, 400)

    @pytest.mark.usefixtures("kept")
    @pytest.mark.parametrize("name", ["", "run.json", "examples.jsonl"])
    def test_one_whose_folder_is_gone_is_undone(self, context, name):
        recover(context)
        disk.remove(context.paths.run(1) / name)

        recover(context)

        counts, _, ended, _ = state(context)
        assert (counts.pending, ended) == (2, [RunState.FAILED])

    def test_a_version_that_was_sealed_goes_before_it(
        self, context, killed_after_sealing
    ):
        """
        The checkpoint of a wake that is done is of no more use.
        """
        leave_checkpoint(RunFolder(context.paths.run(1)))

        recover(context)

        _, names, ended, _ = state(context)
        assert (names, ended) == ({"day": 1, "live": 0}, [RunState.DONE])
        assert not RunFolder(context.paths.run(1)).checkpoints.exists()

    def test_a_night_has_none(self, context, feed, engine):
        feed("a")
        wake(context, no_progress)
        engine.instead = kill
        with pytest.raises(Killed, match="before the end"):
            sleep(context, no_progress)
        leave_checkpoint(RunFolder(context.paths.run(2)))

        recover(context)

        assert state(context)[2] == [RunState.FAILED, RunState.DONE]


def test_a_run_killed_between_seal_and_commit_is_recorded(
    context, killed_after_sealing
):
    """
    The work of hours is not thrown away for want of one transaction.
    """
    recover(context)

    counts, names, ended, folders = state(context)
    assert (counts.pending, counts.known) == (0, 2)
    assert (names, ended) == ({"day": 1, "live": 0}, [RunState.DONE])
    assert folders == [killed_after_sealing.name]


def test_a_damaged_orphan_is_undone_instead(context, killed_after_sealing):
    (killed_after_sealing / "adapter_model.safetensors").write_bytes(b"torn")

    recover(context)

    counts, names, ended, folders = state(context)
    assert (counts.pending, counts.claimed) == (2, 0)
    assert (names, ended, folders) == ({"live": 0}, [RunState.FAILED], [])


@pytest.mark.usefixtures("killed_after_sealing")
def test_recovering_twice_changes_nothing_more(context):
    recover(context)
    once = state(context)

    recover(context)

    assert state(context) == once


def seal_another(context, tmp_path, number, run=None):
    """Seal a version that no row of the books is about."""
    adapter = tmp_path / f"adapter-{number}"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    card = card_of(
        Version(number, VersionKind.WAKE, None, (0,), 16, True, NOON, run), BASE
    )
    return seal_version(context.paths, adapter, card)


def test_a_whole_version_that_no_run_claims_is_moved_aside(context, tmp_path, logged):
    """
    Putting an older database back must not destroy what was made since.
    """
    sealed = seal_another(context, tmp_path, number=7, run=9)

    recover(context)

    aside = context.paths.unclaimed / sealed.name
    verify(aside)
    assert not sealed.exists()
    assert f"to have it back: sleepcycle versions import {aside}" in logged.getvalue()


def test_the_next_of_the_same_name_takes_a_free_one(context, tmp_path):
    sealed = seal_another(context, tmp_path, number=7)
    recover(context)
    shutil.copytree(context.paths.unclaimed / sealed.name, sealed)

    recover(context)

    names = sorted(path.name for path in context.paths.unclaimed.iterdir())
    assert names == [sealed.name, f"{sealed.name}.2"]


@pytest.mark.usefixtures("killed_while_computing")
def test_a_version_of_another_number_is_not_taken_for_the_open_runs(context, tmp_path):
    sealed = seal_another(context, tmp_path, number=7, run=1)

    recover(context)

    _, names, ended, _ = state(context)
    assert (names, ended) == ({"live": 0}, [RunState.FAILED])
    assert (context.paths.unclaimed / sealed.name).is_dir()


def test_a_file_among_the_versions_is_left_alone(context):
    stray = context.paths.versions / ".DS_Store"
    stray.write_bytes(b"\0")

    recover(context)

    assert stray.exists()


def test_a_whole_folder_without_a_readable_card_is_moved_aside(context, tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    (stage / "card.json").write_text('{"number": ')
    sealed = seal(stage, context.paths.versions, "v0007")

    recover(context)

    assert (context.paths.unclaimed / sealed.name).is_dir()


@pytest.mark.parametrize("damage", ['{"number": ', '{"number": "x"}', "[]", "\udcff"])
def test_a_damaged_card_is_named(tmp_path, damage):
    (tmp_path / "card.json").write_text(damage, errors="surrogateescape")

    with pytest.raises(ManifestError, match=r"expected a card in card\.json, got: "):
        read_card(tmp_path)


@pytest.mark.parametrize("begun", ["killed_while_computing", "killed_after_sealing"])
def test_the_journal_says_who_settled_it(context, request, begun):
    request.getfixturevalue(begun)

    recover(context)

    with context.store.read() as session:
        assert journal_entries(session, 1)[0].actor == "recovery"


def test_staged_folders_are_deleted(context):
    stage = context.paths.staging / "v0001"
    stage.mkdir(parents=True)

    recover(context)

    assert not stage.exists()


class TestFeeds:
    def test_what_a_killed_feed_left_is_deleted(self, context):
        leave_half_a_feed(context.store)

        recover(context)

        assert count_half_fed(context.store) == 0

    def test_what_a_feed_adds_that_is_on_stays(self, context):
        leave_half_a_feed(context.store)

        with ThreadPoolExecutor(1) as pool, feed_lock.held(context.paths):
            pool.submit(recover, context).result()

        assert count_half_fed(context.store) == 3
