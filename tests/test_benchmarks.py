"""The benchmarks, on a small slice: their figures count what they say they count."""

import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import (
    consolidate,
    feed,
    generate,
    learning_ways,
    loss_reduction,
    reach,
    shapes,
    small_feeds,
    wake,
)
from benchmarks.learning_work import Work, batches_of
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

WORK = Work(
    rows="", examples=3, length=0, steps=3, warm=1, device="cpu", checkpointing="off",
    memory=0.0,
)  # fmt: skip
SMALL = {"square": (24, 24), "wide": (20, 40), "tall": (40, 20), "square_2": (24, 24)}


def files_of(folder):
    """Return the files in a folder."""
    return list(Path(folder).iterdir())


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


@pytest.mark.usefixtures("workers_forked")
class TestWake:
    def test_a_share_of_the_peak_is_that_which_a_run_reports(self, tmp_path):
        """
        Both count the same operations, and divide by the same peak.
        """
        base = load_base(ModelSettings(), device="cpu", cache=tmp_path)
        new_day(base, "day", day_config(learning_ways.RANK, 32.0, 0.0), seed=0)
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

    @pytest.mark.slow
    def test_examples_in_one_row_of_trl_are_learned_as_a_wake_learns_them(
        self, tmp_path
    ):
        """
        The mask keeps them apart: transformers makes it of their positions alone.
        """
        folder = shapes.made("tiny", "", tmp_path)
        ways = ["ours", "trl, bf16, padding-free"]

        ours, trl = (wake.one_way(w, folder, WORK, tmp_path, 300) for w in ways)

        assert (ours.failed, trl.failed) == ("", "")
        assert trl.loss_first == pytest.approx(ours.loss_first, rel=1e-3)
        assert trl.tokens_a_step == ours.tokens_a_step

    @pytest.mark.slow
    def test_a_way_that_fails_says_why(self, tmp_path):
        found = wake.one_way("ours", str(tmp_path / "no"), WORK, tmp_path, 300)

        assert found.way == "ours"
        assert found.failed.startswith("sleepcycle.errors.ModelError: expected ")

    def test_a_way_that_takes_too_long_is_ended(self, tmp_path):
        found = wake.one_way("ours", "builtin:nano", WORK, tmp_path, 0.1)

        assert found.failed == "took longer than 0.1 s"

    def test_ratios_are_to_the_fastest_way_of_trl(self):
        found = [
            wake.Found("ours", tokens_per_second=300.0),
            wake.Found("trl", tokens_per_second=50.0),
            wake.Found("trl, bf16", tokens_per_second=100.0),
            wake.Found("trl, bf16, liger", failed="ImportError: none"),
        ]

        ratios = list(wake.table_of(found).columns[2].cells)

        assert ratios == ["3.00", "0.50", "1.00", ""]

    def test_rows_of_a_length_have_all_tokens_but_the_first_learned(self, tmp_path):
        base = load_base(ModelSettings(), device="cpu", cache=tmp_path)

        batches = batches_of(base, replace(WORK, length=2048, examples=1))

        assert [len(batch) for batch in batches] == [1, 1, 1]
        assert all(len(one.ids) == 2048 for (one,) in batches)
        assert all(sum(one.weights) == 2047 for (one,) in batches)


class TestShapes:
    def test_a_shape_is_written_once_and_loaded_as_any_base(self, tmp_path):
        folder = shapes.made("tiny", "", tmp_path)
        written = sorted((path, path.stat().st_mtime_ns) for path in files_of(folder))

        again = shapes.made("tiny", "", tmp_path)

        assert again == folder
        assert written == sorted((p, p.stat().st_mtime_ns) for p in files_of(again))
        base = load_base(ModelSettings(base=folder), device="cpu", cache=tmp_path)
        assert base.width == shapes.SHAPES["tiny"].hidden_size

    def test_a_folder_with_a_tokenizer_alone_gives_a_shape_its_tokens(self, tmp_path):
        nano = load_base(ModelSettings(), device="cpu", cache=tmp_path).tokenizer
        nano.add_tokens(["<|other|>"])
        nano.save_pretrained(tmp_path / "tokens")

        shapes.make("tiny", str(tmp_path / "tokens"), tmp_path / "tiny")

        base = load_base(
            ModelSettings(base=str(tmp_path / "tiny")), device="cpu", cache=tmp_path
        )
        assert base.tokenizer.encode("<|other|>") == nano.encode("<|other|>")

    def test_whatever_is_no_shape_is_a_base_by_itself(self, tmp_path):
        assert shapes.made("builtin:nano", "", tmp_path) == "builtin:nano"

    def test_a_base_lies_in_the_folder_that_was_given_and_stays(self, tmp_path):
        with shapes.scratch_folder(str(tmp_path / "here"), "tiny") as place:
            (place / "base").touch()

        assert (tmp_path / "here" / "base").exists()

    def test_a_folder_of_its_own_is_removed(self):
        with shapes.scratch_folder("", "tiny") as place:
            assert place.is_dir()

        assert not place.exists()


class TestReach:
    @pytest.mark.slow
    @pytest.mark.usefixtures("workers_forked")
    def test_a_part_is_tried_on_any_machine_and_its_lines_are_kept(self, tmp_path):
        out = tmp_path / "kept" / "reach.jsonl"
        command = [sys.executable, "-m", "benchmarks.reach", "--tiny"]
        command += ["--parts", "exam", "--out", str(out)]

        done = subprocess.run(command, capture_output=True, text=True, check=True)

        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert [line["part"] for line in lines] == ["exam"] * 6
        assert not any(line.get("failed") for line in lines)
        assert done.stdout.startswith(out.read_text())

    def test_every_way_of_a_part_is_one_that_there_is(self):
        ways = {way for part in reach.PARTS.values() for way in part.ways}

        assert ways == set(learning_ways.WAYS)

    def test_lives_are_told_where_their_lessons_lie(self):
        given = Namespace(
            rows="", smollm2="real", ways=None, limit=1.0, data="there", tiny=False
        )

        part = reach.as_wanted(reach.PARTS["lives"], given)

        assert part.base == "real"
        assert part.lives[-1] == "--data=there"

    def test_what_has_no_time_left_says_so(self, tmp_path):
        part = replace(reach.PARTS["qwen-7b"], base="builtin:nano")

        lines = list(reach.run_part(part, "", tmp_path, end=0.0))

        assert [line["way"] for line in lines] == list(part.ways)
        assert all(line["failed"] == "no time left" for line in lines)

    def test_a_table_has_the_last_line_of_each_way(self):
        lines = [
            {"title": "a", **asdict(wake.Found("trl", tokens_per_second=10.0))},
            {"title": "a", **asdict(wake.Found("ours", failed="it was full"))},
            {"title": "a", **asdict(wake.Found("ours", tokens_per_second=30.0))},
            {"title": "b", "way": "ours, bfloat16", "seconds": 0.5, "answers": 7},
        ]

        found = {title: list(table.columns) for title, table in reach.tables_of(lines)}

        assert list(found) == ["a", "b"]
        assert list(found["a"][2].cells) == ["1.00", "3.00"]
        assert list(found["b"][1].cells) == ["0.5"]


class TestGenerate:
    @pytest.fixture
    def asked(self, tmp_path):
        base = load_base(ModelSettings(), device="cpu", cache=tmp_path)
        prompts = [render_prompt(one, base) for one in generate.questions(12)]
        return base, generate.Asked(prompts[:6], prompts[6:])

    def test_no_question_is_asked_twice(self):
        asked = generate.questions(300)

        assert len(set(asked)) == 300

    def test_each_way_answers_all_questions_alike(self, asked):
        """
        Continuous batching, which takes most memory that there is, is left out.
        """
        timed = list(generate.measure(*asked, 8, batching=False))

        assert [one.failed for one in timed] == [""] * 3
        assert all(one.answers == timed[0].answers for one in timed)
        assert all(one.tokens and one.seconds > 0 for one in timed)

    def test_a_way_that_fails_leaves_the_others_their_lines(self, asked):
        base, questions = asked
        base.model.generate_batch = None

        timed = list(generate.measure(base, questions, 8, batching=True))

        assert [bool(one.failed) for one in timed] == [False] * 3 + [True] * 2
        assert generate.row_of(timed[-1], timed[0])["failed"].startswith("TypeError: ")


class TestLossReduction:
    @pytest.fixture
    def drawn(self):
        """A few facts and stories of one seed."""
        chosen = Namespace(facts=3, long=6, data=None)
        return loss_reduction.lessons(chosen, 0, general=())

    def test_facts_are_taught_in_other_words_than_they_are_asked_in(self, drawn):
        asked = {one.prompt for one in drawn.questions}
        taught = {one.prompt for one in drawn.rows["short"]}

        assert not asked & taught
        assert {one.completion for one in drawn.rows["short"]} == {
            one.completion for one in drawn.questions
        }

    def test_no_unseen_answer_is_taught_or_looked_at(self, drawn):
        known = {*drawn.rows["long"], *drawn.held_out["long"]}

        assert not known & set(drawn.unseen)
        assert len(drawn.unseen) == 6

    def test_each_wake_and_night_is_a_line(self, capsys):
        words = ["--facts=2", "--long=6", "--lives=mixed", "--reductions=sqrt"]

        loss_reduction.main([*words, "--wake", '{"min_steps": 1, "max_steps": 2}'])

        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["after"] for row in rows] == ["wake 1", "night 1"]
        assert all(row["short_loss"] > 0 < row["unseen"] for row in rows)
        assert rows[0]["drift"] > 0


class TestSmallFeeds:
    def test_facts_are_asked_in_other_words_than_they_are_taught_in(self):
        first, second = small_feeds.feeds(6, seed=0)

        asked = {one.prompt for one in (*first.questions, *second.questions)}
        taught = {one.prompt for one in (*first.rows, *second.rows)}
        assert (len(first.rows), len(first.questions)) == (6, 2)
        assert not asked & taught

    def test_each_day_is_a_line(self, capsys):
        words = ["--examples=3", "--wake", '{"min_steps": 2, "rank": 2}']

        small_feeds.main([*words, "--gate", '{"probe_dreams": 2, "max_asked": 2}'])

        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(row["day"], row["rows"]) for row in rows] == [(1, 3), (2, 3)]
        assert rows[1]["earlier"] == [0, 0]
