"""Training that is broken off goes on as if it never was; one without room splits."""

import json
import resource
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from sleepcycle.errors import DiskError, ModelError, Paused
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.learning.distillation import DISTILLATION, TaughtExample
from sleepcycle.model.adapters import activate, day_config, new_day, read
from sleepcycle.model.checkpoint import FolderCheckpoints, State
from sleepcycle.model.encode import Encoded
from sleepcycle.model.fit import fit
from sleepcycle.model.gradients import NLL
from sleepcycle.model.reading import Reader
from sleepcycle.model.score import teach
from tests.model.conftest import assert_same, make_plan, some_examples

STEPS = 7
LOSSES = (3.0, 1.0, 2.0, 1.5, 1.4, 1.3, 1.2)  # the held-out loss of each look


class Keep:
    """Keeps states in memory, and pauses after one step."""

    def __init__(self, pause_after=None, start=None, every=1):
        self.pause_after = pause_after
        self.start = start
        self.every = every
        self.saved: list[State] = []

    def load(self):
        return self.start

    def due(self, step):
        return step == self.pause_after or step % self.every == 0

    def save(self, state):
        self.saved.append(state)
        if state.seen.step == self.pause_after:
            raise Paused("as asked")


@pytest.fixture
def run(tmp_path):
    """A run folder that has nothing in it."""
    folder = RunFolder(tmp_path / "000001")
    folder.path.mkdir()
    return folder


@pytest.fixture
def fresh(load, tiny_folder):
    """Return what loads a base with a new day adapter, as a new process does."""

    def made(dropout=0.0):
        base = load(tiny_folder("llama"))
        new_day(base, "day", day_config(4, 8.0, dropout), seed=7)
        activate(base, ["day"])
        return base

    return made


@pytest.fixture
def no_room():
    """Return what lets no file grow beyond a kilobyte for a block."""

    @contextmanager
    def bounded():
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return bounded


def lesson(base, steps=STEPS):
    """Return other examples for every step, of unlike lengths."""
    examples = some_examples(base, count=4 * steps)
    cut = [
        Encoded(e.ids[: 4 + i % 6], e.weights[: 4 + i % 6])
        for i, e in enumerate(examples)
    ]
    return [cut[4 * step : 4 * step + 4] for step in range(steps)]


def train(base, keep=None, losses=None, sure=None, **changed):
    """Train the day adapter; with `losses` the looks find these.

    With `sure`, a confidence for each step, those at what is to be learned do.
    """
    plan = make_plan(
        **({"steps": STEPS, "warmup_steps": 3, "check_every": 1} | changed)
    )
    done = keep.start.seen.step if keep and keep.start else 0
    left, surer = iter((losses or ())[done:]), iter((sure or ())[done:])
    return fit(
        base,
        plan,
        lesson(base, plan.steps),
        on_progress=lambda progress: None,
        held_out_loss=(lambda: next(left)) if losses else None,
        confidence=(lambda: next(surer)) if sure else None,
        keep=keep,
    )


def pause(base, after, **options):
    """Train up to a step, and return the state that was kept there."""
    keep = Keep(pause_after=after, every=100)
    with pytest.raises(Paused, match="as asked"):
        train(base, keep, **options)
    [state] = keep.saved
    return state


class TestGoingOn:
    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    @pytest.mark.parametrize("after", [1, 4, STEPS])
    def test_it_ends_with_the_same_bytes(self, fresh, dropout, after):
        """
        Weights, moments, the rate's place in its course, and what dropout draws.
        """
        whole = fresh(dropout)
        expected = train(whole)
        state = pause(fresh(dropout), after)
        torch.rand(5)
        base = fresh(dropout)

        result = train(base, Keep(start=state, every=100))

        assert_same(read(base, "day"), read(whole, "day"))
        assert (result.steps, result.tokens) == (expected.steps, expected.tokens)
        assert result.loss_first == expected.loss_first
        assert result.loss_last == expected.loss_last

    def test_it_does_so_after_several_pauses(self, fresh):
        whole = fresh(0.3)
        train(whole)
        state = None
        for after in (2, 3, 6):
            keep = Keep(pause_after=after, start=state, every=100)
            with pytest.raises(Paused, match="as asked"):
                train(fresh(0.3), keep)
            state = keep.saved[-1]
        base = fresh(0.3)

        train(base, Keep(start=state))

        assert_same(read(base, "day"), read(whole, "day"))

    @pytest.mark.parametrize("after", [1, 2, 3])
    def test_the_best_look_before_is_not_forgotten(self, fresh, after):
        """
        Patience goes on counting, and the best weights are kept, as in one go.
        """
        whole = fresh()
        expected = train(whole, losses=LOSSES, patience=3)
        state = pause(fresh(), after, losses=LOSSES, patience=3)
        base = fresh()

        result = train(base, Keep(start=state), losses=LOSSES, patience=3)

        assert (result.steps, result.best_step, result.stopped_early) == (5, 2, True)
        assert result.held_out == expected.held_out
        assert_same(read(base, "day"), read(whole, "day"))

    @pytest.mark.parametrize("after", [2, 4, 5])
    def test_one_that_ends_since_all_is_learned_ends_at_the_same_step(
        self, fresh, after
    ):
        """
        Also where it was broken off at that step, or by a look before.
        """
        options = {"sure": (0, 0, 0.1, 0.7, 0.8, 0, 0), "ends_from": 1}
        whole = fresh(0.3)
        expected = train(whole, **options)
        state = pause(fresh(0.3), after, **options)
        base = fresh(0.3)

        result = train(base, Keep(start=state), **options)

        assert (result.steps, result.learned) == (5, True)
        assert result.confidence == expected.confidence
        assert_same(read(base, "day"), read(whole, "day"))

    def test_the_start_is_looked_at_once(self, fresh):
        """
        A night that may keep its start does not look at step 3 as if it were the start.
        """
        state = pause(fresh(), 3, may_keep_start=True, check_every=9)

        result = train(fresh(), Keep(start=state), may_keep_start=True, check_every=9)

        assert result.held_out == ()

    def test_what_was_finished_is_not_trained_again(self, fresh):
        keep = Keep(every=100)
        whole = fresh()
        train(whole, keep, losses=LOSSES, patience=3)
        [state] = keep.saved
        base = fresh()
        seen = []

        plan = make_plan(steps=STEPS, warmup_steps=3, check_every=1, patience=3)
        result = fit(
            base, plan, lesson(base), on_progress=seen.append, keep=Keep(start=state)
        )

        assert state.seen.finished
        assert (seen, result.steps, result.best_step) == ([], 5, 2)
        assert_same(read(base, "day"), read(whole, "day"))
        assert not any(weight.requires_grad for weight in base.model.parameters())

    def test_a_state_of_another_plan_is_left(self, fresh):
        """
        Its moments would be of another course.
        """
        state = pause(fresh(), 3, lr=1e-3)
        base, other = fresh(), fresh()
        train(other)

        train(base, Keep(start=state))

        assert_same(read(base, "day"), read(other, "day"))

    def test_a_state_of_a_release_that_knew_no_end_of_small_feeds_goes_on(self, fresh):
        state = pause(fresh(), 3)
        plan = {
            name: value
            for name, value in state.seen.plan.items()
            if name not in {"holds_zeros", "ends_from", "ends_every"}
        }
        keep = Keep(start=replace(state, seen=replace(state.seen, plan=plan)))

        result = train(fresh(), keep, sure=[1.0] * 4, ends_from=5)

        assert [one.seen.step for one in keep.saved] == [4, 5]
        assert result.learned

    def test_speed_and_time_go_on(self, fresh):
        seen = []
        state = pause(fresh(), 3)
        base = fresh()

        result = fit(
            base,
            make_plan(steps=STEPS, warmup_steps=3, check_every=1),
            lesson(base),
            on_progress=seen.append,
            keep=Keep(start=state),
        )

        assert [(p.step, p.steps) for p in seen] == [(n, STEPS) for n in (4, 5, 6, 7)]
        assert all(p.tokens_per_second > 0 for p in seen)
        assert result.seconds > state.seen.seconds > 0

    def test_the_state_is_kept_in_its_turn_and_at_the_end(self, fresh):
        keep = Keep(every=3)

        train(fresh(), keep)

        assert [state.seen.step for state in keep.saved] == [3, 6, 7]


class TestFolder:
    def test_a_state_comes_back_as_it_was(self, fresh, run):
        state = pause(fresh(0.3), 3, losses=LOSSES)
        checkpoints = FolderCheckpoints(run, every=50)

        checkpoints.save(state)
        found = checkpoints.load()

        assert found.seen == state.seen
        assert found.tensors.keys() == state.tensors.keys()
        for name, tensor in state.tensors.items():
            assert torch.equal(found.tensors[name], tensor), name
        assert run.reached() == (3, STEPS)

    def test_the_same_bytes_come_of_one_from_a_folder(self, fresh, run):
        whole = fresh(0.3)
        train(whole)
        checkpoints = FolderCheckpoints(run, every=50)
        checkpoints.save(pause(fresh(0.3), 4))
        base = fresh(0.3)

        fit(
            base,
            make_plan(steps=STEPS, warmup_steps=3, check_every=1),
            lesson(base),
            on_progress=lambda progress: None,
            keep=checkpoints,
        )

        assert_same(read(base, "day"), read(whole, "day"))

    def test_the_newest_alone_is_kept(self, fresh, run):
        checkpoints = FolderCheckpoints(run, every=50)
        for after in (2, 3):
            checkpoints.save(pause(fresh(), after))

        assert [path.name[:6] for path in run.checkpoints.iterdir()] == ["000003"]
        assert checkpoints.load().seen.step == 3

    def test_nothing_is_pickled(self, fresh, run):
        FolderCheckpoints(run, every=50).save(pause(fresh(), 2))

        [folder] = run.checkpoints.iterdir()
        assert sorted(path.name for path in folder.iterdir()) == [
            "manifest.json",
            "state.json",
            "state.safetensors",
        ]
        assert json.loads((folder / "state.json").read_text())["step"] == 2

    @pytest.mark.parametrize(
        "name", ["state.json", "state.safetensors", "manifest.json"]
    )
    def test_a_damaged_one_is_never_loaded(self, fresh, run, name):
        """
        The one before is, where it is still there; otherwise training begins anew.
        """
        checkpoints = FolderCheckpoints(run, every=50)
        checkpoints.save(pause(fresh(), 2))
        [older] = run.checkpoints.iterdir()
        aside = older.rename(run.path / older.name)
        checkpoints.save(pause(fresh(), 3))
        [newer] = run.checkpoints.iterdir()
        flip_a_bit(newer / name)

        assert checkpoints.load() is None
        aside.rename(older)
        assert checkpoints.load().seen.step == 2

    def test_where_there_is_no_room_the_one_before_stays(self, fresh, run, no_room):
        checkpoints = FolderCheckpoints(run, every=50)
        checkpoints.save(pause(fresh(), 2))
        state = pause(fresh(), 3)

        with (
            no_room(),
            pytest.raises(DiskError, match=r"to write .*too large"),
        ):
            checkpoints.save(state)

        assert checkpoints.load().seen.step == 2

    def test_a_half_written_one_is_no_checkpoint(self, fresh, run):
        checkpoints = FolderCheckpoints(run, every=50)
        checkpoints.save(pause(fresh(), 2))
        [whole] = run.checkpoints.iterdir()
        whole.rename(run.checkpoints / "stage")

        assert checkpoints.load() is None

        checkpoints.save(pause(fresh(), 3))
        assert [path.name[:6] for path in run.checkpoints.iterdir()] == ["000003"]

    def test_it_is_due_every_so_many_steps(self, run):
        checkpoints = FolderCheckpoints(run, every=50)

        assert [step for step in range(1, 201) if checkpoints.due(step)] == [
            50,
            100,
            150,
            200,
        ]


class TestFullMemory:
    """A batch that does not fit is learned in parts, to the same gradient."""

    @pytest.mark.parametrize(
        ("fits", "parts"), [(4, 1), (2, 2), (1, 4)], ids=["whole", "halves", "singly"]
    )
    @pytest.mark.parametrize("kind", ["nll", "rem"])
    def test_the_gradient_is_that_of_the_whole(self, fresh, kind, fits, parts):
        expected, whole_loss, _ = gradient(fresh(), kind)
        base, tried = fresh(), []

        with room_for(base, fits, tried):
            found, loss, seen = gradient(base, kind)

        assert seen.micro_batches == parts
        assert 4 in tried
        assert loss == pytest.approx(whole_loss, rel=1e-5)
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)

    def test_what_was_found_is_remembered(self, fresh):
        """
        Only the first step meets the wall, and a run that goes on knows of it.
        """
        base, tried = fresh(), []
        keep = Keep(pause_after=3, every=100)
        with pytest.raises(Paused, match="as asked"):
            train_within(base, 2, tried, keep)

        assert tried == [4, 2, 2, 2, 2, 2, 2]
        again = []
        train_within(fresh(), 2, again, Keep(start=keep.saved[0], every=100))
        assert set(again) == {2}

    def test_what_a_failed_try_left_counts_for_nothing(self, fresh):
        """
        The second half fails on a try that has learned the first already.
        """
        base = fresh()
        expected, _, _ = gradient(fresh(), "nll")
        calls = []

        def full(rows):
            calls.append(rows)
            if len(calls) in {1, 3}:
                raise torch.OutOfMemoryError("CUDA out of memory")

        with read_by(base, full):
            found, _, _ = gradient(base, "nll")

        assert calls == [4, 2, 2, 1, 1, 1, 1]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            torch.OutOfMemoryError("Allocation on device"),
            RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        ],
        ids=str,
    )
    def test_it_is_known_by_what_each_device_says(self, fresh, error):
        base, tried = fresh(), []

        def full(rows):
            tried.append(rows)
            if rows > 2:
                raise error

        with read_by(base, full):
            gradient(base, "nll")

        assert tried == [4, 2, 2]

    def test_the_machine_says_so_too(self, fresh):
        """
        By asking torch for more than there can be, not by words of ours.
        """
        base, tried = fresh(), []

        def full(rows):
            tried.append(rows)
            if rows > 2:
                torch.empty(2**46)

        with read_by(base, full):
            gradient(base, "nll")

        assert tried == [4, 2, 2]

    def test_where_not_even_one_fits_it_says_what_to_lower(self, fresh):
        with pytest.raises(
            ModelError,
            match=r"expected 1 of a batch's 4 examples to fit in memory, got: .*can't "
            r"allocate memory.*; lower wake\.batch_size or model\.max_length",
        ):
            train_within(fresh(), 0, [])

    def test_there_are_eight_parts_at_most(self, fresh):
        base, tried = fresh(), []
        with (
            room_for(base, 1, tried),
            pytest.raises(ModelError, match=r"expected 2 of a batch's 16 examples"),
        ):
            fit(
                base,
                make_plan(steps=1),
                [some_examples(base, count=16)],
                on_progress=lambda progress: None,
            )

        assert tried == [16, 8, 4, 2]

    def test_another_error_is_not_taken_for_a_full_memory(self, fresh):
        base = fresh()

        def broken(rows):
            raise RuntimeError("shapes differ")

        with read_by(base, broken), pytest.raises(RuntimeError, match="shapes differ"):
            gradient(base, "nll")

    def test_a_batch_that_learns_nothing_can_be_split(self, fresh):
        base = fresh()
        examples = [Encoded(e.ids, (0.0,) * len(e.ids)) for e in some_examples(base)]

        with room_for(base, 2, tried := []):
            result = fit(
                base,
                make_plan(steps=1),
                [examples],
                on_progress=lambda progress: None,
            )

        assert tried == [4, 2, 2]
        assert result.loss_last == 0


def flip_a_bit(path):
    """Damage one file in its middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@contextmanager
def read_by(base, on_read):
    """Tell of the number of sequences each time that a model reads some."""
    Reader(base)  # has tried the model by now

    def tell(_, args, inputs):
        packed = inputs.get("packed")
        on_read(len(packed.lengths if packed else inputs["input_ids"]))

    hook = base.model.base_model.register_forward_pre_hook(tell, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def room_for(base, fits, tried):
    """Let a model have room for only so many sequences at once."""

    def bounded(rows):
        tried.append(rows)
        if rows > fits:
            raise RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate "
                "9000000000 bytes. Error code 12 (Cannot allocate memory)"
            )

    with read_by(base, bounded):
        yield


def train_within(base, fits, tried, keep=None):
    """Train for a few steps where only so many sequences have room."""
    with room_for(base, fits, tried):
        return fit(
            base,
            make_plan(steps=5),
            lesson(base, 5),
            on_progress=lambda progress: None,
            keep=keep,
        )


def gradient(base, kind):
    """Do one step, and return its gradient, its loss, and its report.

    AdamW's first moment is a tenth of the gradient after one step.
    """
    batch = lesson(base, 1)[0]
    weighted = [
        Encoded(e.ids, tuple(0.5 + 0.3 * i for i in range(len(e.ids)))) for e in batch
    ]
    if kind == "rem":
        scores = teach(replace(base, batch_tokens=1), weighted, k=5)
        gold = (1.0, 0.3, 0.0, 0.5)
        weighted = [
            TaughtExample(e, scores[i] if gold[i] < 1 else None, gold[i])
            for i, e in enumerate(weighted)
        ]
    keep, seen = Keep(), []
    result = fit(
        base,
        make_plan(steps=1, max_grad_norm=1e9),
        [weighted],
        on_progress=seen.append,
        objective=DISTILLATION if kind == "rem" else NLL,
        keep=keep,
    )
    return 10 * keep.saved[-1].tensors["exp_avg"], result.loss_first, seen[-1]
