"""Recovery: whatever a kill left half done is finished or undone, once."""

from datetime import UTC, datetime

import pytest

from sleepcycle.cycle.recovery import recover
from sleepcycle.cycle.run import wake
from sleepcycle.publish import seal_version
from sleepcycle.records import Card, RunState, VersionKind
from sleepcycle.store import examples, runs, versions
from tests.cycle.conftest import BASE, WAKE_REPORT


class Killed(BaseException):
    """Stands for SIGKILL: no handler of ours answers it."""


def no_progress(progress):
    """Take a heartbeat."""


def kill(run):
    raise Killed("before the end")


@pytest.fixture
def killed_while_computing(keeper, feed, engine):
    """A home whose wake was killed while its worker computed."""
    feed("a", "b")
    engine.instead = kill
    with pytest.raises(Killed, match="before the end"):
        wake(keeper, no_progress)
    engine.instead = None


@pytest.fixture
def killed_after_sealing(killed_while_computing, keeper, tmp_path):
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
    return seal_version(keeper.paths, adapter, card)


def state(keeper):
    """Return all that recovery may change."""
    with keeper.store.read() as session:
        return (
            examples.counts(session),
            versions.aliases(session),
            [run.state for run in runs.list_runs(session, 10)],
            sorted(path.name for path in keeper.paths.versions.iterdir()),
        )


@pytest.mark.usefixtures("killed_while_computing")
def test_a_run_killed_before_its_seal_is_undone(keeper):
    recover(keeper)

    counts, names, ended, folders = state(keeper)
    assert (counts.pending, counts.claimed) == (2, 0)
    assert (names, ended, folders) == ({"live": 0}, [RunState.FAILED], [])


def test_a_run_killed_between_seal_and_commit_is_recorded(keeper, killed_after_sealing):
    """
    The work of hours is not thrown away for want of one transaction.
    """
    recover(keeper)

    counts, names, ended, folders = state(keeper)
    assert (counts.pending, counts.known) == (0, 2)
    assert (names, ended) == ({"day": 1, "live": 0}, [RunState.DONE])
    assert folders == [killed_after_sealing.name]


def test_a_damaged_orphan_is_undone_instead(keeper, killed_after_sealing):
    (killed_after_sealing / "adapter_model.safetensors").write_bytes(b"torn")

    recover(keeper)

    counts, names, ended, folders = state(keeper)
    assert (counts.pending, counts.claimed) == (2, 0)
    assert (names, ended, folders) == ({"live": 0}, [RunState.FAILED], [])


@pytest.mark.usefixtures("killed_after_sealing")
def test_recovering_twice_changes_nothing_more(keeper):
    recover(keeper)
    once = state(keeper)

    recover(keeper)

    assert state(keeper) == once


def test_staged_folders_are_deleted(keeper):
    stage = keeper.paths.staging / "v0001"
    stage.mkdir(parents=True)

    recover(keeper)

    assert not stage.exists()
