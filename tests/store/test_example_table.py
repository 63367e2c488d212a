import subprocess
import sys
import textwrap

import pytest
from sqlalchemy import text

from sleepcycle.errors import NotFoundError, RunError, StoreError
from sleepcycle.records.content import Text, canonical_json, content_hash, is_held_out
from sleepcycle.store import batch_table, example_table, version_table
from sleepcycle.store.example_table import _bound
from sleepcycle.store.values import Alias, Counts, ExampleState
from tests.counting import count_examples
from tests.store.conftest import SHARE, add_batch, add_version, start_run, train

TEXTS = [f"text {number}" for number in range(40)]
HELD_OUT = [
    line
    for line in TEXTS
    if is_held_out(content_hash(canonical_json(Text(line))), SHARE)
]
LEARNED = [line for line in TEXTS if line not in HELD_OUT]


@pytest.fixture
def session(store):
    """A transaction with one batch of forty texts."""
    with store.write() as session:
        add_batch(session, TEXTS)
        yield session


def texts(found):
    return [example.content.text for example in found]


class TestAdd:
    def test_what_is_there_already_is_not_added(self, session):
        canonical = canonical_json(Text(TEXTS[0]))
        known = (content_hash(canonical), canonical, None, None)
        fresh = (content_hash("x"), canonical_json(Text("x")), 1, None)

        added = example_table.add(
            session, 1, ExampleState.PENDING, [known, fresh, fresh]
        )

        assert added == 1

    def test_nothing_adds_nothing(self, session):
        assert example_table.add(session, 1, ExampleState.PENDING, []) == 0


class TestClaim:
    def test_the_oldest_come_first(self, session):
        assert texts(example_table.claim(session, start_run(session), 5)) == LEARNED[:5]

    def test_two_runs_never_hold_the_same(self, session):
        first = example_table.claim(session, start_run(session), 20)
        second = example_table.claim(session, start_run(session), 1_000)

        assert texts(first) + texts(second) == LEARNED

    def test_a_second_claim_returns_all_that_the_run_holds(self, session):
        run = start_run(session)
        example_table.claim(session, run, 5)

        assert texts(example_table.claim(session, run, 2)) == LEARNED[:7]

    def test_what_is_released_is_claimed_first_again(self, session):
        run = start_run(session)
        example_table.claim(session, run, 5)

        assert example_table.release(session, run) == 5
        assert texts(example_table.claim(session, start_run(session), 2)) == LEARNED[:2]

    def test_two_processes_share_without_overlap(self, paths, store):
        """
        Together they claim everything, in small bites, and nothing twice.
        """
        lines = [f"line {number}" for number in range(300)]
        with store.write() as session:
            add_batch(session, lines, share=0.0)
            runs = [start_run(session), start_run(session)]
        script = """
            import sys
            from pathlib import Path
            from sleepcycle.settings.config import StoreSettings
            from sleepcycle.files.paths import HomePaths
            from sleepcycle.store import example_table
            from sleepcycle.store.database import open_store

            store = open_store(HomePaths(Path(sys.argv[1])), StoreSettings())
            held = -1
            while True:
                with store.write() as session:
                    now = len(example_table.claim(session, int(sys.argv[2]), 7))
                if now == held:
                    break
                held = now
        """
        command = [sys.executable, "-c", textwrap.dedent(script), str(paths.root)]
        workers = [subprocess.Popen([*command, str(run)]) for run in runs]
        assert [worker.wait() for worker in workers] == [0, 0]

        with store.write() as session:
            held = [texts(example_table.claim(session, run, 0)) for run in runs]
        assert sorted(held[0] + held[1]) == sorted(lines)


class TestTrained:
    def test_a_version_owns_what_its_run_held(self, session):
        version = train(session, limit=5)

        assert example_table.count_trained(session, [version]) == 5
        assert (
            texts(example_table.replay_sample(session, [version], 10, 0)) == LEARNED[:5]
        )

    def test_requeue_makes_it_pending_again(self, session):
        version = train(session, limit=5)

        assert example_table.requeue(session, [version]) == 5
        assert example_table.count_trained(session, [version]) == 0
        assert texts(example_table.claim(session, start_run(session), 5)) == LEARNED[:5]

    def test_a_version_that_is_live_again_owns_what_it_learned(self, session):
        """
        Else its own examples would be trained a second time on top of it.
        """
        version = train(session, limit=5)
        example_table.requeue(session, [version])
        example_table.release(session, (run := start_run(session)))
        example_table.claim(session, run, 2)
        other = add_version(session)
        example_table.mark_trained(session, run, other)

        assert example_table.own_again(session, [version]) == 5
        assert example_table.count_trained(session, [version]) == 5
        assert example_table.count_trained(session, [other]) == 0

        assert example_table.own_again(session, [other]) == 2
        assert example_table.count_trained(session, [version]) == 3


class TestSample:
    def test_a_seed_draws_the_same_twice(self, session):
        version = train(session)

        first = example_table.replay_sample(session, [version], 8, seed=1)

        assert len(first) == len(set(texts(first))) == 8
        assert first == example_table.replay_sample(session, [version], 8, seed=1)
        assert first != example_table.replay_sample(session, [version], 8, seed=2)

    def test_every_example_is_as_likely(self, session):
        """
        Over 400 seeds each of n examples is drawn 400 * 8 / n times, give or take
        four standard deviations.
        """
        version = train(session)
        drawn = dict.fromkeys(LEARNED, 0)
        for seed in range(400):
            for line in texts(example_table.replay_sample(session, [version], 8, seed)):
                drawn[line] += 1

        share = 8 / len(LEARNED)
        spread = 4 * (400 * share * (1 - share)) ** 0.5
        assert min(drawn.values()) > 400 * share - spread
        assert max(drawn.values()) < 400 * share + spread

    def test_only_the_versions_asked_for_are_drawn_from(self, session):
        first, second = train(session, limit=5), train(session, limit=5)

        assert (
            texts(example_table.replay_sample(session, [second], 99, 0))
            == LEARNED[5:10]
        )
        assert len(example_table.replay_sample(session, {first, second}, 99, 0)) == 10
        assert example_table.replay_sample(session, [], 99, 0) == []

    def test_held_out_is_drawn_by_batch(self, session):
        other = add_batch(session, [f"other {number}" for number in range(40)])

        assert texts(example_table.held_out(session, [1], 99, 0)) == HELD_OUT
        drawn = example_table.held_out(session, [other], 3, 5)
        assert {example.batch for example in drawn} == {other}
        assert drawn == example_table.held_out(session, [other], 3, 5)

    def test_a_draw_larger_than_a_statement_may_have_parameters(self, session):
        add_batch(session, [f"many {number}" for number in range(33_000)], share=0.0)
        version = train(session, limit=33_000)

        assert len(example_table.replay_sample(session, [version], 33_000, 0)) == 33_000


class TestExclude:
    def test_nothing_of_the_batch_is_used_any_more(self, session):
        version = train(session, limit=5)

        assert example_table.exclude_batch(session, 1) == len(TEXTS)
        assert example_table.claim(session, start_run(session), 99) == []
        assert example_table.replay_sample(session, [version], 99, 0) == []
        assert example_table.held_out(session, [1], 99, 0) == []
        assert example_table.exclude_batch(session, 1) == 0

    def test_a_batch_in_a_run_is_refused(self, session):
        example_table.claim(session, start_run(session), 5)

        with pytest.raises(RunError, match="batch 1 has 5 examples in a run"):
            example_table.exclude_batch(session, 1)

    @pytest.mark.parametrize(
        "act", [example_table.exclude_batch, example_table.requeue_batch]
    )
    def test_an_unknown_batch_is_refused(self, session, act):
        with pytest.raises(NotFoundError, match=r"no batch 7; see: .* batches list"):
            act(session, 7)

    def test_requeue_undoes_it(self, session):
        """
        What the live line learned is trained, what was held out is held out.
        """
        version = train(session, limit=5)
        version_table.point(session, Alias.LIVE, version)
        before = count_examples(session)
        example_table.exclude_batch(session, 1)

        assert example_table.requeue_batch(session, 1) == len(LEARNED) - 5
        assert count_examples(session) == before
        assert texts(example_table.held_out(session, [1], 99, 0)) == HELD_OUT
        assert (
            texts(example_table.replay_sample(session, [version], 9, 0)) == LEARNED[:5]
        )

    def test_requeue_gives_back_what_only_other_versions_learned(self, session):
        live = train(session, limit=5)
        lost = train(session, limit=5)
        version_table.point(session, Alias.LIVE, live)

        assert example_table.requeue_batch(session, 1) == 5
        assert example_table.count_trained(session, [lost]) == 0
        assert example_table.count_trained(session, [live]) == 5

    @pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.5, 0.999_999])
    def test_the_bound_says_what_the_door_said(self, share):
        digests = [content_hash(str(number)) for number in range(500)]
        digests += [_bound(share) + bytes(24), _bound(share) + b"\xff" * 24]

        for digest in digests:
            assert (digest < _bound(share)) == is_held_out(digest, share)


class TestCounts:
    def test_every_example_is_counted_in_one_place(self, session):
        train(session, limit=5)
        example_table.claim(session, start_run(session), 3)
        add_batch(session, ["bad"], share=0.0)
        example_table.exclude_batch(session, 2)

        found = count_examples(session)

        held_out, pending = len(HELD_OUT), len(LEARNED) - 8
        assert found == Counts(41, held_out, pending, 3, 5, 1, 0, 0)
        parts = (found.held_out, found.pending, found.claimed, found.known)
        assert sum(parts) + found.excluded == found.accepted

    def test_a_batch_is_counted_alone(self, session):
        train(session, limit=5)
        add_batch(session, ["other"], share=0.0)

        assert batch_table.states(session, 1) == {
            ExampleState.HELD_OUT: len(HELD_OUT),
            ExampleState.PENDING: len(LEARNED) - 5,
            ExampleState.CLAIMED: 0,
            ExampleState.TRAINED: 5,
            ExampleState.EXCLUDED: 0,
        }


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("state = 'claimed'", "ck_example_claimed_by_run"),
        ("run = 1", "ck_example_claimed_by_run"),
        ("state = 'trained'", "ck_example_trained_in_version"),
        ("state = 'held_out', version = 0", "ck_example_held_out_untrained"),
        ("state = 'lost'", "ck_example_state_known"),
        ("hash = x'00'", "ck_example_hash_is_sha256"),
        ("batch = 99", "FOREIGN KEY"),
    ],
)
def test_the_database_itself_keeps_an_example_in_one_state(store, change, name):
    with store.write() as session:
        add_batch(session, ["one"], share=0.0)
        start_run(session)

    with pytest.raises(StoreError, match=name), store.write() as session:
        session.execute(text(f"UPDATE example SET {change}"))
