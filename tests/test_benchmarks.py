"""The benchmarks, on a small slice: their figures count what they say they count."""

import pytest

from benchmarks import consolidate, feed, generate, wake
from benchmarks.measure import PeakMemory, repeat
from sleepcycle.files.paths import HomePaths
from sleepcycle.model.adapters import day_config, new_day, parameters
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import Encoded, render_prompt
from sleepcycle.model.fit import learning_cost
from sleepcycle.model.gradients import NLL
from sleepcycle.model.pace import Pace
from sleepcycle.model.peak_speed import peak_of
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import ModelSettings, StoreSettings
from sleepcycle.store.database import create_store

SMALL = {"square": (24, 24), "wide": (20, 40), "tall": (40, 20), "square_2": (24, 24)}


@pytest.fixture
def adapter():
    return consolidate.random_adapter(SMALL, blocks=3)


@pytest.fixture
def ours(adapter):
    return consolidate.fold(adapter, repeats=1)


class TestConsolidate:
    def test_every_layer_is_folded_to_the_rank(self, ours):
        assert len(ours.result.layers) == 12
        assert {layer.rank for layer in ours.result.layers} == {consolidate.RANK}

    @pytest.mark.parametrize(
        ("shape", "layers"), [((24, 24), 6), ((20, 40), 3), ((40, 20), 3)]
    )
    def test_ours_and_peft_reach_the_optimal_truncation(
        self, adapter, ours, shape, layers
    ):
        """
        Live and day go into PEFT as two adapters, into ours as one change.
        """
        row = consolidate.sample(shape, adapter, ours)

        assert row.layers == layers
        assert row.optimal > 0.1
        assert row.ours < 1e-5
        assert row.peft < 1e-4

    def test_the_ratio_extrapolates_what_was_sampled_and_says_so(self, capsys, ours):
        row = consolidate.Sample(
            shape=(24, 24),
            layers=6,
            peft_s=ours.times.median_s * 100,
            peft_thin_s=ours.times.median_s * 10,
            peft_growth_mb=0.0,
            optimal=0.5,
            ours=1e-7,
            peft=1e-6,
        )

        consolidate.print_ratios([row], ours)

        full, thin = capsys.readouterr().out.splitlines()
        assert "6 of 12 layers, EXTRAPOLATED from 1 sampled layers" in full
        assert full.endswith("at least 600 times our median for 12")
        assert thin.endswith("at least 60 times our median for 12")

    def test_the_adapter_is_that_of_qwen(self):
        """
        Qwen2.5-1.5B has 18,464,768 LoRA weights at rank 16 on all its linear layers.
        """
        widths = [sum(shape) for shape in consolidate.QWEN.values()]

        assert sum(widths) * consolidate.QWEN_BLOCKS * 16 == 18_464_768


class TestFeed:
    def test_each_line_is_counted_once_and_known_the_second_time(self, tmp_path):
        """
        One line in 100 is cut off, and quarantined both times.
        """
        path = tmp_path / "lines.jsonl"
        feed.write_lines(path, 3_000)
        base = BaseIdentity("builtin:nano", None, "")
        store = create_store(HomePaths(tmp_path / "home"), StoreSettings(), base)

        new, again = (feed.feed(store, path)[0] for _ in range(2))

        assert (new.accepted, new.duplicate, new.quarantined) == (2_970, 0, 30)
        assert (again.accepted, again.duplicate, again.quarantined) == (0, 2_970, 30)


class TestMeasure:
    def test_growth_holds_what_was_taken(self):
        with PeakMemory() as memory:
            held = b"x" * 100_000_000

        assert memory.growth_mb > 0.8 * len(held) / 1e6

    def test_times_are_of_every_repeat(self):
        calls = []

        times = repeat(lambda: calls.append(None), 5)

        assert len(calls) == 5
        assert 0 <= times.best_s <= times.median_s


class TestWake:
    def test_a_share_of_the_peak_is_that_which_a_run_reports(self, tmp_path):
        """
        Both count the same operations, and divide by the same peak.
        """
        base = load_base(ModelSettings(), device="cpu", cache=tmp_path)
        new_day(base, "day", day_config(wake.RANK, 32.0, 0.0), seed=0)
        adapter = sum(one.numel() for one in parameters(base, "day"))
        examples = [Encoded((3, 4, 5, 6), (0.0, 0.0, 1.0, 1.0))] * 3
        done = NLL.work(examples, learning_cost(base, adapter))
        pace = Pace([done], 0, 1e12, clock=iter([0.0, 0.0, 2.0]).__next__)
        pace.begin()
        pace.learned()

        found = wake.share_of_peak(base, examples, 2.0, 1e12)

        assert found == pytest.approx(pace.mfu)

    def test_where_no_peak_is_known_there_is_no_share(self, tmp_path):
        base = load_base(ModelSettings(), device="cpu", cache=tmp_path)

        assert wake.share_of_peak(base, [], 1.0, peak_of(base.device)) is None


class TestGenerate:
    def test_no_question_is_asked_twice(self):
        asked = generate.questions(300)

        assert len(set(asked)) == 300

    def test_each_way_answers_all_questions_alike(self, tmp_path):
        base = load_base(ModelSettings(), device="cpu", cache=tmp_path)
        prompts = [render_prompt(one, base) for one in generate.questions(6)]

        timed = list(generate.measure(base, prompts, 8))

        assert len(timed) == 3
        assert all(one.answers == timed[0].answers for one in timed)
        assert all(one.tokens and one.seconds > 0 for one in timed)
