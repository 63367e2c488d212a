"""The memory benchmark, on a small slice: every way to live runs, and is comparable."""

from dataclasses import replace

import pytest
import torch

from sleepcycle.learning import wake
from sleepcycle.model import adapters
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import collate, pad_id, render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.score import token_losses
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Dream
from sleepcycle.settings.config import ModelSettings
from sleepcycle_study.memory import ewc, olora, plot, records, table
from sleepcycle_study.memory.__main__ import main
from sleepcycle_study.memory.day import Cost, Lifetime, begin, recall
from sleepcycle_study.memory.lessons import Lesson, lessons
from sleepcycle_study.memory.lifetime import live
from sleepcycle_study.memory.methods import ARMS, settings
from sleepcycle_study.memory.penalised import encoded, new_adapter
from sleepcycle_study.memory.scoring import ask
from sleepcycle_study.memory.streams import STREAMS

SLICE = ("store", "archive", "joint", "O-LoRA", "EWC", "LAMOL")
RUN = records.LifetimeRun("store", 0, 0, lessons=2, stream="lessons", examples=24)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """The invented lessons, three questions of each."""
    whole = STREAMS["lessons"](tmp_path_factory.getbasetemp())

    def draw(seed, count):
        """Cut lessons short."""
        return [
            replace(x, rows=x.rows[:40], questions=x.questions[:3])
            for x in whole.draw(seed, count)
        ]

    return replace(whole, draw=draw, dream_tokens=32)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The built-in base."""
    cache = tmp_path_factory.mktemp("cache")
    return load_base(ModelSettings(), device="cpu", cache=cache)


@pytest.fixture(scope="module")
def lived(base, stream):
    """One life in every way of the slice."""
    return {arm: live(base, stream, replace(RUN, arm=arm)) for arm in SLICE}


def result(arm, acc, order=0, seed=0):
    """Return a made-up result."""
    return records.Result(
        run=replace(RUN, arm=arm, order=order, seed=seed),
        names=["a", "b"],
        base=[0.0, 0.0],
        matrix=[[1.0, 0.0], [acc, acc]],
        acc=acc,
        rank=16,
        stories=None,
        cost=Cost(trained=2000, read=1000, wake_seconds=[1.0, 2.0]),
        seconds=4.0,
    )


@pytest.mark.slow
class TestLives:
    def test_matrices_have_a_row_a_day_and_a_column_a_lesson(self, lived):
        shapes = {
            arm: [len(row) for row in found.matrix] for arm, found in lived.items()
        }

        assert shapes.pop("joint") == [2]
        assert set(map(tuple, shapes.values())) == {(2, 2)}

    def test_rank_is_bounded_but_where_each_lesson_has_its_adapter(self, lived):
        ranks = {arm: found.rank for arm, found in lived.items()}

        assert ranks.pop("O-LoRA") == 32
        assert set(ranks.values()) == {16}

    def test_every_day_trains_as_long(self, lived):
        """
        Steps are equal, examples differ a little in length; nights come on top.
        """
        days = [lived[arm].cost.trained for arm in ("joint", "O-LoRA", "LAMOL")]

        assert max(days) < 1.3 * min(days)

    def test_costs_are_booked_where_they_arise(self, lived):
        assert lived["O-LoRA"].cost.read == 0
        assert lived["store"].cost.read > 0
        assert len(lived["archive"].cost.night_seconds) == 2
        assert len(lived["archive"].cost.accepted) == 2
        assert len(lived["LAMOL"].cost.wake_seconds) == 2

    def test_a_life_on_a_used_base_is_the_same(self, base, stream, lived):
        """
        Whatever lived on it before leaves nothing on the base.
        """
        again = live(base, stream, replace(RUN, arm="store"))

        assert again.matrix == lived["store"].matrix
        assert again.cost.trained == lived["store"].cost.trained
        assert not any(getattr(part, "lora_A", ()) for part in base.model.modules())


class TestOLora:
    def test_penalty_is_the_squared_overlap_of_what_is_read(self, base):
        chosen = settings(ARMS["O-LoRA"], 24, 64, first=True).wake
        new_adapter(base, chosen, 0, start={})
        day = adapters.read(base, wake.DAY)
        live_before = {
            path: LowRank(change.up, torch.roll(change.down, 1, 0) + 0.01)
            for path, change in day.items()
        }

        found = olora.overlap(base, live_before)().detach()

        adapters.remove(base, wake.DAY)
        squares = sum(
            float((day[path].down @ live_before[path].down.T).square().sum())
            for path in day
        )
        assert float(found) == pytest.approx(olora.STRENGTH * squares, rel=1e-4)
        assert squares > 0

    def test_nothing_is_penalised_on_the_first_day(self, base):
        chosen = settings(ARMS["O-LoRA"], 24, 64, first=True).wake
        new_adapter(base, chosen, 0, start={})

        found = olora.overlap(base, {})().detach()

        adapters.remove(base, wake.DAY)
        assert float(found) == 0


class TestEwc:
    def test_pull_is_the_half_weighted_squared_distance(self):
        weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        penalty = ewc.pull([weight], [torch.tensor([3.0, 0.5])], strength=10.0)

        with torch.no_grad():
            weight += torch.tensor([1.0, -2.0])

        assert float(penalty().detach()) == pytest.approx(10 / 2 * (3 * 1 + 0.5 * 4))

    def test_fisher_is_the_mean_square_of_each_example_s_gradient(self, base):
        """
        Against backward calls on one example each; a mean gradient squared is less.
        """
        chosen = settings(ARMS["EWC"], 24, 64, first=True).wake
        new_adapter(base, chosen, 0, start={})
        adapters.activate(base, [wake.DAY])
        today = begin(lessons(0, 1)[0], 0, 0)
        examples = encoded(base, today.new[:3], chosen)

        found = ewc.fisher(base, examples)

        weights = adapters.parameters(base, wake.DAY)
        slow = [torch.zeros_like(weight) for weight in weights]
        for example in examples:
            batch = collate([example], pad_id(base))
            losses = token_losses(base.model, batch)
            losses[batch.weights[:, 1:] > 0].sum().backward()
            for square, weight in zip(slow, weights, strict=True):
                square += weight.grad**2 / 3
                weight.grad = None
        base.model.requires_grad_(False)
        adapters.remove(base, wake.DAY)
        torch.testing.assert_close(found, slow, rtol=1e-4, atol=1e-9)
        assert sum(float(square.sum()) for square in found) > 0


class TestArms:
    def test_masks_leave_half_the_rank_after_the_first_fold(self):
        arm = ARMS["sequential + svd 8, masks"]

        ranks = [
            settings(arm, 24, 64, first=first).wake.rank for first in (True, False)
        ]

        assert ranks == [16, 8]

    def test_a_day_recalls_as_many_examples_as_it_has_places_for(self):
        """
        Three steps of 8, half of them replayed.
        """
        today = begin(lessons(0, 1)[0], 0, 0)
        chosen = settings(ARMS["store"], 24, 64, first=True)

        assert len(recall(Lifetime(stored=list(today.new)), today, chosen)) == 12
        assert recall(Lifetime(), today, chosen) == []

    def test_without_a_store_dreams_are_recalled_evenly(self):
        """
        The service replays what past nights dreamt, as many of each dreamer.
        """
        rows = lessons(0, 1)[0].rows
        dreamt = [Dream(1 + (i > 3), row) for i, row in enumerate(rows[:30])]
        chosen = settings(ARMS["archive"], 16, 64, first=True)

        found = recall(Lifetime(dreamt=dreamt), begin(lessons(0, 1)[0], 2, 0), chosen)

        early = {dream.content for dream in dreamt if dream.version == 1}
        assert len(found) == 8
        assert sum(example.content in early for example in found) == 4

    def test_examples_of_two_days_have_different_numbers(self):
        lesson = lessons(0, 1)[0]
        days = [begin(lesson, number, seed=0) for number in range(3)]
        ids = [x.id for today in days for x in (*today.new, *today.held_out)]

        assert len(set(ids)) == len(ids)

    def test_the_bare_base_knows_no_lesson(self, base):
        assert ask(base, {}, lessons(0, 2)) == [0.0, 0.0]

    @pytest.mark.parametrize("name", ["joint", "replay 50 %"])
    def test_half_more_differs_in_what_is_shown_alone(self, name):
        more = ARMS[f"{name}, half more"]

        assert more.more == 1.5
        assert replace(more, more=1.0) == ARMS[name]


class TestExam:
    def test_the_beginning_is_enough_where_the_lesson_says_so(self, base):
        """
        The bare base's own answer is expected: whole, its first half, and another.
        """
        [asked, *_] = lessons(0, 1)[0].questions
        [said] = answer(base, [render_prompt(asked.prompt, base)], max_new_tokens=20)
        said = said.strip()
        expected = [said, said[: len(said) // 2], said[1:]]
        taught = [
            Lesson("", (), (), (Completion(asked.prompt, words),)) for words in expected
        ]

        assert ask(base, {}, taught) == [1.0, 0.0, 0.0]
        beginning = [replace(lesson, begins=True) for lesson in taught]
        assert ask(base, {}, beginning) == [1.0, 1.0, 0.0]


class TestResults:
    def test_a_result_is_read_as_it_was_written(self, tmp_path):
        file = tmp_path / "found.jsonl"
        written = [result("store", 0.5), result("joint", 0.7)]

        for one in written:
            records.append(file, one)

        assert records.read(file) == written

    @pytest.mark.parametrize("length", [1, 40, -2])
    def test_a_line_cut_short_is_no_result_and_spoils_none(self, tmp_path, length):
        """
        As by a kill in mid-write: its life is lived again, and read beside the others.
        """
        file = tmp_path / "found.jsonl"
        written = [result("store", 0.5), result("joint", 0.7)]
        for one in written:
            records.append(file, one)
        first, second = file.read_text().splitlines(keepends=True)
        file.write_text(first + second[:length])

        assert records.read(file) == written[:1]
        records.append(file, written[1])
        assert records.read(file) == written

    @pytest.mark.parametrize("option", ["--orders", "--seeds", "--lessons"])
    def test_none_of_what_is_counted_is_refused(self, option, capsys):
        with pytest.raises(SystemExit, match="2"):
            main([option, "0"])

        assert f"{option}: expected a number from 1, got '0'" in capsys.readouterr().err

    def test_what_was_lived_is_not_lived_again(self, tmp_path, capsys):
        """
        The second call finds every run in the file; another seed is another run.
        """
        file = str(tmp_path / "found.jsonl")
        asked = ["--arms", "base", "--orders", "2", "--seeds", "1", "--lessons", "1"]
        asked += ["--whole", "--device", "cpu", "--out", file]

        assert main(asked) == 2
        assert main(asked) == 0
        assert main([*asked, "--only-seed", "1", "--only-order", "0"]) == 1
        assert capsys.readouterr().out.count("| base | 3 | 0.0 ± 0.0 |") == 1

    def test_a_stream_whose_data_is_missing_is_skipped(self, tmp_path, capsys):
        asked = ["--stream", "text", "--data", str(tmp_path)]

        assert main([*asked, "--out", str(tmp_path / "found.jsonl")]) == 0
        assert capsys.readouterr().out.startswith("skipped: expected the real models")


class TestReport:
    def test_differences_pair_runs_of_one_order_and_seed(self):
        """
        Means differ by 10 points with a spread of 0, though runs vary by 20.
        """
        rows = [
            result("store", 0.5, seed=0),
            result("store", 0.7, seed=1),
            result("joint", 0.6, seed=0),
            result("joint", 0.8, seed=1),
            result("joint", 0.1, seed=2),
        ]

        line = list(table.table(rows))[2]

        assert line.startswith("| joint | 3 | 50.0 ± 36.1 | 10.0 ± 0.0 |")

    def test_intransigence_is_what_teaching_in_turn_cost(self):
        """
        Together 70 and 70 %; in turn 100 and 20 % right after each lesson.
        """
        joint = replace(result("joint", 0.7), matrix=[[0.7, 0.7]])

        lines = list(table.table([result("store", 0.2), joint]))

        columns = [cell.strip() for cell in lines[0].split("|")]
        found = [line.split("|")[columns.index("intransigence")] for line in lines[2:]]
        assert [cell.strip() for cell in found] == ["-", "10.0"]

    def test_arms_of_other_times_come_last(self):
        rows = [result("gone", 0.1), result("store", 0.5), result("joint", 0.7)]

        lines = list(table.table(rows))[2:]

        assert [line.split(" | ")[0] for line in lines] == [
            "| joint",
            "| store",
            "| gone",
        ]

    def test_the_share_of_nights_accepted_is_over_all_runs(self):
        """
        Two of three nights; no share where there was no night.
        """
        rows = [
            result("store", 0.5),
            result("store", 0.5, seed=1),
            result("joint", 0.7),
        ]
        rows[0].cost.accepted.extend([True, False])
        rows[1].cost.accepted.extend([True])

        header, _, joint, store = table.table(rows)

        assert header.endswith("| nights accepted, % |")
        assert (joint[-5:], store[-6:]) == ("| - |", "| 67 |")

    def test_a_single_run_has_no_spread(self):
        assert table.spread([0.25], 100) == "25.0"
        assert table.spread([]) == "-"

    def test_a_table_line_has_every_column(self):
        header, _, line = table.table([result("store", 0.5)])

        assert line.count("|") == header.count("|")


class TestPlot:
    def test_pictures_show_the_mean_of_the_runs(self, tmp_path):
        plot.draw_all([result("store", 0.2), result("store", 0.6)], tmp_path / "new")

        [file] = (tmp_path / "new").iterdir()
        assert file.name == "store.svg"
        assert file.read_text().count(">40</text>") == 2

    def test_names_become_files_that_any_system_takes(self, tmp_path):
        plot.draw_all([result("replay 1 %", 0.2)], tmp_path)

        assert [file.name for file in tmp_path.iterdir()] == ["replay_1.svg"]
