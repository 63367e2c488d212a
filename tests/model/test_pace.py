"""The time left comes from tokens, and the share of the peak from operations."""

import pytest

from sleepcycle.model.pace import LearningCost, Pace, StepWork
from sleepcycle.model.peak_speed import peak_by_name


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def pace_of(clock, ahead, *, look_every=0, peak=None, done=0):
    """Return the pace of a run whose clock starts now; a token takes 1000 FLOP."""
    work = [StepWork(tokens, 1000.0 * tokens) for tokens in ahead]
    pace = Pace(work, look_every, peak, clock)
    pace.begin(done)
    return pace


def step(pace, clock, seconds):
    """Let one step take so long."""
    clock.now += seconds
    pace.learned()


class TestTimeLeft:
    def test_long_steps_to_come_take_longer_than_short_ones_did(self, clock):
        pace = pace_of(clock, [10, 10, 10, 10, 100])
        for _ in range(4):
            step(pace, clock, 2.0)

        assert pace.tokens_per_second == pytest.approx(5)
        assert pace.left_s == pytest.approx(20)

    def test_nothing_is_said_before_a_few_steps(self, clock):
        pace = pace_of(clock, [10] * 40)
        step(pace, clock, 30.0)
        step(pace, clock, 1.0)

        assert pace.left_s is None

    def test_the_first_step_which_warms_up_does_not_count(self, clock):
        pace = pace_of(clock, [10] * 10)
        step(pace, clock, 30.0)
        for _ in range(4):
            step(pace, clock, 1.0)

        assert pace.left_s == pytest.approx(5)

    def test_looks_to_come_take_as_long_as_those_before(self, clock):
        """
        Of ten steps, looks come after 4, 8 and the last.
        """
        pace = pace_of(clock, [10] * 10, look_every=4)
        for _ in range(4):
            step(pace, clock, 1.0)
        clock.now += 5.0
        pace.looked()

        assert pace.left_s == pytest.approx(6 + 2 * 5)
        assert pace.tokens_per_second == pytest.approx(10)

    def test_what_a_checkpoint_takes_is_not_speed(self, clock):
        pace = pace_of(clock, [10] * 10)
        for _ in range(4):
            step(pace, clock, 1.0)
            clock.now += 7.0
            pace.paused()

        assert pace.tokens_per_second == pytest.approx(10)

    def test_it_goes_on_from_a_checkpoint(self, clock):
        pace = pace_of(clock, [10] * 10, done=5)
        for _ in range(4):
            step(pace, clock, 1.0)

        assert pace.left_s == pytest.approx(1)

    def test_at_the_end_nothing_is_left(self, clock):
        pace = pace_of(clock, [10])
        step(pace, clock, 1.0)

        assert pace.left_s == 0


class TestShareOfThePeak:
    def test_it_is_operations_a_second_over_the_most_there_are(self, clock):
        pace = pace_of(clock, [10, 10], peak=50_000.0)
        step(pace, clock, 0.5)

        assert pace.mfu == pytest.approx(10 * 1000 / 0.5 / 50_000)

    def test_it_is_unknown_where_the_peak_is(self, clock):
        pace = pace_of(clock, [10, 10])
        step(pace, clock, 0.5)

        assert pace.mfu is None

    def test_the_step_that_warms_up_is_left_out_once_there_is_another(self, clock):
        pace = pace_of(clock, [10, 10], peak=50_000.0)
        step(pace, clock, 60.0)
        step(pace, clock, 0.5)

        assert pace.mfu == pytest.approx(10 * 1000 / 0.5 / 50_000)

    def test_operations_are_of_matrices_adapter_learned_tokens_and_pairs(self):
        """
        Sequences of 3 and 1 tokens have 10 pairs, of which half are causal.
        """
        cost = LearningCost(matrices=100, adapter=10, head=7, channels=2)

        assert cost.flop([3, 1], learned=2) == 4 * 460 + 2 * 4 * 7 + 12 * 2 * 5

    @pytest.mark.parametrize(
        ("name", "peak"),
        [
            ("NVIDIA H200", 989e12),
            ("NVIDIA H100 PCIe", 756e12),
            ("NVIDIA A100-SXM4-80GB", 312e12),
            ("NVIDIA GB200", 2500e12),
            ("NVIDIA L4", 121e12),
            ("NVIDIA L40", 181e12),
            ("NVIDIA L40S", 362e12),
            ("NVIDIA GeForce RTX 4090", 165e12),
            ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
            ("NVIDIA RTX A1000", None),
            ("Tesla K80", None),
        ],
    )
    def test_a_gpu_is_known_by_its_name(self, name, peak):
        assert peak_by_name(name) == peak
