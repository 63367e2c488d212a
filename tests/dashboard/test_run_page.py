"""A run is followed while it is on, and told in full once it is over."""

import re
from dataclasses import asdict

import pytest

from sleepcycle.dashboard.line_drawing import bars, draw
from sleepcycle.dashboard.loss_view import MOST_STEPS, loss_view
from sleepcycle.dashboard.report_view import (
    dream_view,
    flattened,
    layer_row,
    report_facts,
    verdict_rows,
)
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.records.codec import to_json
from sleepcycle.records.content import Completion, Conversation, Message, Role
from sleepcycle.records.example import Dream
from sleepcycle.records.progress import HEARTBEAT, Progress
from sleepcycle.records.reports import LayerReport, RemReport, SleepReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.verdict import Exact, Kept, Loss, Verdict
from sleepcycle.store import run_table
from tests.dashboard.lived import lived, lived_home, lived_once, reader

__all__ = ["lived", "lived_home", "lived_once", "reader"]

LOSS = Loss(2.0, 2.75, 4, 40, 0.5)
REFUSED = Verdict(
    False,
    "it forgot",
    LOSS,
    Loss(3.0, 1.0, 4, 40),
    True,
    exact_known=Exact(1.0, 0.5, 16),
    agreement=Kept(0.9, 0.8, 64, unasked=2),
    failed=("retention",),
)
LAYER = LayerReport("layers.0.q", (4, 8), 32, 16, 0.97, 3.5, (2.0, 1.0))
NIGHT = SleepReport(
    4.5,
    16,
    0.97,
    REFUSED,
    (LAYER,),
    RemReport(3, 60, 1.0, 2.0, 1.0, 2, False, {"today": 4}, 0.5, ((0, 2.0), (3, 1.5))),
)


@pytest.fixture
def on(lived_home):
    """A wake that is on, and its folder."""
    with lived_home.store.write() as session:
        number = run_table.start(session, RunKind.WAKE, 1, "boot 1")
    folder = RunFolder(lived_home.paths.run(number))
    folder.path.mkdir(parents=True)
    return folder


def end(home, report, kind=RunKind.SLEEP):
    """Add a run that is done, and return its number."""
    with home.store.write() as session:
        number = run_table.start(session, kind, 1, "boot 1")
        run_table.finish(session, number, RunState.DONE, to_json(report), None)
    return number


class TestWhileItIsOn:
    def test_it_says_how_far_it_is(self, on, reader):
        on.append_progress(HEARTBEAT)
        beat = Progress("wake", 3, 40, 1.25, 1234.0, 75.0, held_out=0.5)
        on.append_progress(beat)
        on.log.write_text("<loading>\n")

        page = reader.get("/runs/6")

        assert "Learning: step 3 of 40" in page.words
        for said in ("1.250 nats per token", "1,234 tokens a second", "1 min of this"):
            assert said in page.words
        assert "&lt;loading&gt;" in page.text
        assert "every 2s" in page.text

    def test_before_its_first_step_it_gets_ready(self, on, reader):
        page = reader.get("/runs/6")

        assert "Getting ready" in page.words
        assert "Nothing was printed yet." in page.words

    def test_it_can_be_cancelled(self, on, lived, reader):
        page = reader.post("/runs/6/cancel")

        assert lived.scheduler.asked == [("cancel", 6)]
        assert "Run 6 is cancelled: 7 examples wait again." in page.words

    def test_its_losses_are_numbers_and_a_drawing(self, on, reader):
        for step in (1, 2, 3):
            held_out = 0.5 if step > 1 else None
            on.append_progress(
                Progress("wake", step, 9, loss=4.0 / step, held_out=held_out)
            )

        page = reader.get("/runs/6")

        assert re.findall(r'<th scope="row">(\d)</th>', page.text) == ["1", "2", "3"]
        assert '<td class="number">2.0000</td>' in page.text
        assert page.text.count("<polyline") == 2
        assert 'data-chart="losses"' in page.text
        assert '<table id="losses">' in page.text


class TestWhenItIsOver:
    def test_a_wake_tells_what_it_learned(self, reader):
        page = reader.get("/runs/1")

        assert "Wake 1 made v1" in page.words
        assert "Loss, today's batches 2.000 1.000 4 examples" in page.words
        assert "feed.held_out_share 0.25" in page.words
        assert "every 2s" not in page.text
        assert "Cancel" not in page.words

    def test_a_night_tells_each_check_and_what_refused(self, lived_home, reader):
        number = end(lived_home, NIGHT)

        page = reader.get(f"/runs/{number}")

        assert "Verdict rejected it forgot" in page.words
        assert "known batches refuses it 2.000 2.750 4 examples" in page.words
        assert "100% 50% 16 questions" in page.words
        assert "64 questions, 2 not asked" in page.words
        assert "layers.0.q 4 x 8 32 to 16 97.00% 3.50" in page.words
        assert "50% of the day's compute" in page.words
        assert 'class="bars"' in page.text

    def test_dreams_are_paged(self, reader):
        assert "of v1" in reader.get("/runs/2?dreams=9").words

    def test_a_failure_says_its_error(self, lived_home, reader):
        with lived_home.store.write() as session:
            number = run_table.start(session, RunKind.WAKE, 1, "boot 1")
            run_table.finish(session, number, RunState.FAILED, None, "no <room>")

        assert "no &lt;room&gt;" in reader.get(f"/runs/{number}").text

    @pytest.mark.parametrize("number", ["99", "x", "1e3"])
    def test_one_that_is_not_there_is_refused_in_words(self, reader, number):
        page = reader.get(f"/runs/{number}")

        assert page.status == 404
        assert "run" in page.words


class TestLossView:
    def test_a_long_run_has_every_so_many_of_its_steps(self):
        beats = [Progress("wake", n, 1000, loss=1.0) for n in range(1, 1001)]

        view = loss_view(beats, [(500, 0.5)])

        assert len(view.rows) <= MOST_STEPS + 2
        assert view.rows[-1].step == 1000
        assert view.every == 5
        assert [row.held_out for row in view.rows if row.step == 500] == [0.5]

    def test_a_look_belongs_to_the_step_before_its_heartbeat(self):
        seen = [None, None, 0.5, 0.5, 0.25]
        beats = [
            Progress("wake", n, 9, loss=1.0, held_out=each)
            for n, each in enumerate(seen, 1)
        ]

        found = {row.step: row.held_out for row in loss_view(beats, None).rows}

        assert found == {1: None, 2: 0.5, 3: None, 4: 0.25, 5: None}

    def test_of_nothing_there_is_nothing(self):
        view = loss_view([HEARTBEAT, Progress("bank", 1, 2)], None)

        assert (view.rows, view.drawing) == ((), None)


class TestDrawing:
    def test_a_line_spans_the_whole(self):
        found = draw([[(0, 1.0), (5, None), (10, 3.0)]])

        assert found.lines == ("6.0,154.0 594.0,6.0",)
        assert (found.low, found.high, found.left, found.right) == (1.0, 3.0, 0, 10)

    def test_equal_values_are_a_flat_line(self):
        assert draw([[(0, 1.0), (1, 1.0)]]).lines == ("6.0,154.0 594.0,154.0",)

    @pytest.mark.parametrize("points", [[], [(0, 1.0)], [(0, 1.0), (1, float("nan"))]])
    def test_without_two_points_there_is_none(self, points):
        assert draw([points]) is None

    def test_the_largest_bar_reaches_the_edge(self):
        assert bars([2.0, 1.0], 10, 10) == "M0.0,10v-10.0h4.0V10zM5.0,10v-5.0h4.0V10z"
        assert bars([]) == ""
        assert "v-0.0" in bars([0.0])


class TestReportView:
    def test_bounds_are_those_of_the_settings_of_the_run(self):
        rows = verdict_rows(REFUSED, {"gate": {"max_rise": 0.5}})

        [known] = [row for row in rows if row.failed]
        assert "rise at most 0.5 (gate.max_rise)" in known.good
        assert "at most what is set" in rows[-1].good

    def test_figures_of_an_old_report_lack_what_is_newer(self):
        old = {"seconds": 1.0, "rank": 8, "kept_energy": 0.5}

        names = [one.name for one in report_facts(RunKind.SLEEP, old)]

        assert names == ["Rank", "Kept by the fold", "Time"]

    def test_settings_have_their_whole_names(self):
        nested = {"sleep": {"rem": {"lr": "auto"}}, "a": 1}

        assert flattened(nested) == {"sleep.rem.lr": "auto", "a": "1"}

    def test_a_layer_shows_its_spectrum(self):
        row = layer_row(asdict(LAYER))

        assert (row.shape, row.strongest) == ("4 x 8", "2 1")

    def test_a_dream_says_who_says_what(self):
        talk = Conversation((Message(Role.USER, "a"), Message(Role.ASSISTANT, "b")))

        assert dream_view(Dream(1, Completion("a", "b"))).turns == (
            ("asked", "a"),
            ("answered", "b"),
        )
        assert dream_view(Dream(1, talk)).turns == (("user", "a"), ("assistant", "b"))
