"""The report of a study, on runs that are made up."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.results import (
    Curve,
    Fold,
    Glance,
    GradedAnswer,
    StudyRun,
)
from sleepcycle_study.report.article_figures import REPORTED
from sleepcycle_study.report.report import report

SKILL = {"base": 0.2, "flat": 0.6, "dream": 0.9}
SEEDS = (0, 1, 2)
DREAMS = (("dream", 0), ("dream", 1))
NASTY = '</td><script>alert("x")</script> | `a` [b](http://c.d) & <img src=x>\x00\n# e'
BY_DIMENSION = {
    "exact": ("exact", "exact.simple", "article.exact"),
    "sense": ("sense.strict", "sense.magnitude"),
    "delegation": ("delegation.balanced",),
    "adversarial": ("adversarial",),
    "errors": ("errors.catastrophic_all", "errors.catastrophic"),
}
VOID = {"meta", "br", "hr", "img", "input", "link", "line", "rect", "polyline"}


def made_up(arm: str, seed: int, text: str = "4") -> StudyRun:
    """Return a run that answers as well as its arm can."""
    draw = random.Random(f"{arm}/{seed}")
    skill = SKILL.get(arm, 0.5)
    answers = tuple(
        GradedAnswer(
            question=f"{dimension}-{place}",
            dimension=dimension,
            prompt="Calculate: 2 + 2 =",
            text=text,
            measures={name: float(draw.random() < skill) for name in names},
        )
        for dimension, names in BY_DIMENSION.items()
        for place in range(12)
    )
    losses = tuple((step, 3 / step + draw.random()) for step in range(1, 40))
    learned = arm != "base"
    return StudyRun(
        study="phases",
        arm=arm,
        seed=seed,
        base="builtin:nano",
        domain="arithmetic",
        tokens_trained=10_000 + seed if learned else 0,
        tokens_read=500,
        seconds=12.5 + seed,
        rank=8 if learned else 0,
        curves=(Curve("foundation", losses),) if learned else (),
        stops=tuple(
            Glance(after, {"exact": skill / part, "exact.form": 1 / part})
            for part, after in enumerate(("foundation", "delegation"), 1)
        )
        if learned
        else (),
        folds=(Fold("before delegation", 0.9, 8, (3.0, 1.0, 0.1), (3.0, 1.0, 0.0)),)
        if arm == "dream"
        else (),
        answers=answers,
        general={"lambada": {"before": 0.5, "after": 0.4 + seed / 100}},
        settings={"rank": 8},
    )


def runs() -> list[StudyRun]:
    """Return three arms by three seeds."""
    return [made_up(arm, seed) for arm in SKILL for seed in SEEDS]


def figures(data: object) -> Iterator[float]:
    """Yield every number in plain data."""
    if isinstance(data, dict):
        for value in data.values():
            yield from figures(value)
    elif isinstance(data, list):
        for value in data:
            yield from figures(value)
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield data


def tables(data: dict) -> dict[str, list[dict]]:
    """Return a report's rows by the title of their table."""
    return {
        table["title"]: table["rows"]
        for section in data["sections"]
        for table in section["tables"]
    }


def sentences(data: dict) -> str:
    """Return all that a report says between its tables."""
    return "\n".join(s for section in data["sections"] for s in section["sentences"])


def told(folder, *runs: StudyRun) -> str:
    """Return what a report on runs says between its tables."""
    report(runs, "Phases", folder)
    return sentences(json.loads((folder / "report.json").read_text()))


class Page(HTMLParser):
    """Reads a page, and keeps its elements, its attributes and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"href", "src", "srcset", "action", "data", "xlink:href"}:
                self.links.append(value or "")
            assert not name.startswith("on")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder with the report of three arms by three seeds."""
    out = tmp_path_factory.mktemp("study") / "new" / "report"
    report(runs(), "Phases", out)
    return out


@pytest.fixture(scope="module")
def data(whole):
    """What its JSON holds."""
    return json.loads((whole / "report.json").read_text())


@pytest.fixture(scope="module")
def page(whole):
    """Its page, read."""
    return Page((whole / "report.html").read_text())


class TestFiles:
    def test_three_are_written(self, tmp_path):
        paths = report(runs(), "Phases", tmp_path)

        assert [path.name for path in paths] == [
            "report.html",
            "report.md",
            "report.json",
        ]
        assert all(path.stat().st_size for path in paths)

    def test_the_same_runs_give_the_same_report(self, tmp_path, whole):
        """
        In any order of the seeds: intervals and p-values have seeds of their own.
        """
        shuffled = sorted(runs(), key=lambda run: -run.seed)
        ordered = sorted(shuffled, key=lambda run: list(SKILL).index(run.arm))

        for path in report(ordered, "Phases", tmp_path):
            assert path.read_bytes() == (whole / path.name).read_bytes()

    def test_no_runs_are_refused(self, tmp_path):
        with pytest.raises(StudyError, match="at least one run, got none; run the stu"):
            report([], "Phases", tmp_path)

    def test_two_runs_of_one_arm_and_seed_are_refused(self, tmp_path):
        with pytest.raises(StudyError, match="got two of 'flat', seed 1"):
            report([made_up("flat", 1), made_up("flat", 1)], "Phases", tmp_path)


class TestFigures:
    def test_every_figure_of_the_json_is_in_the_markdown(self, whole, data):
        """
        Rounded alike, so that neither says more than the other.
        """
        words = (whole / "report.md").read_text()
        found = set(figures(data))

        assert len(found) > 100
        assert [value for value in found if f"{abs(value)}" not in words] == []

    def test_every_figure_of_the_json_is_on_the_page(self, data, page):
        missing = [v for v in set(figures(data)) if f"{abs(v)}" not in page.words]

        assert missing == []

    def test_a_figure_and_its_text_are_one(self, data):
        cells = [
            cell
            for rows in tables(data).values()
            for row in rows
            for cell in row.values()
            if isinstance(cell, dict)
        ]

        for cell in cells:
            numbers = [value for name, value in cell.items() if name != "text"]
            assert numbers
            assert all(str(abs(value)) in cell["text"] for value in numbers)

    def test_what_was_known_along_the_way_is_told_stop_by_stop(self, data):
        rows = tables(data)["Along the way"]

        found = [(row["arm"], row["after"]) for row in rows]
        assert found == [
            ("flat", "foundation"),
            ("flat", "delegation"),
            ("dream", "foundation"),
            ("dream", "delegation"),
        ]
        assert rows[3]["exact"]["mean"] == 100 * SKILL["dream"] / 2
        assert rows[3]["exact.form"] == {"mean": 50.0, "std": 0.0, "text": "50.0 ± 0.0"}

    def test_every_row_with_figures_names_its_runs(self, data):
        """
        But those of the article that we have no arm for.
        """
        files = {run.file for run in runs()}
        for title, rows in tables(data).items():
            for row in rows:
                assert set(row["runs"]) <= files
                ours = title != "The article beside ours" or row["our arm"] != "-"
                assert row["runs"] or not ours

    def test_scores_are_the_means_of_the_answers(self, data):
        answers = [a for run in runs() if run.arm == "dream" for a in run.answers]
        right = [a.measures["exact"] for a in answers if "exact" in a.measures]
        rows = {row["arm"]: row for row in tables(data)["Scores: exact"]}

        found = rows["dream"]["exact"]

        assert found["mean"] == round(100 * sum(right) / len(right), 1)
        assert found["low"] <= found["mean"] <= found["high"]
        assert rows["dream"]["runs"] == [f"runs/dream-{seed}.json" for seed in SEEDS]

    def test_the_rules_of_the_article_have_tables_of_their_own(self, data):
        found = tables(data)

        assert "article.exact" not in found["Scores: exact"][0]
        assert "article.exact" in found["Scores: exact, by the rules of the article"][0]

    def test_every_arm_is_compared_with_every_control(self, data):
        rows = tables(data)["Paired differences"]
        found = {(r["control"], r["arm"]) for r in rows if r["measure"] == "exact"}

        assert found == {
            ("base", "flat"),
            ("base", "dream"),
            ("flat", "base"),
            ("flat", "dream"),
        }
        assert all(row["Holm"]["p"] >= row["p"]["p"] for row in rows)
        assert all(row["pairs"]["value"] == 36 for row in rows)

    def test_the_article_stands_beside_ours(self, data):
        """
        Its exact accuracy of the 1.5B dream arm is 69.4; ours is what our runs scored.
        """
        rows = tables(data)["The article beside ours"]
        ours = {row["arm"]: row for row in tables(data)["Summary"]}
        found = next(
            row
            for row in rows
            if row["arm"] == "dream" and row["measure"] == "article.exact"
        )

        assert len(rows) == len(REPORTED)
        assert found["article"]["mean"] == 69.4
        assert found["our arm"] == "dream"
        assert found["our base"] == "builtin:nano"
        assert found["difference"]["value"] == pytest.approx(
            found["ours"]["mean"] - 69.4, abs=0.051
        )
        assert set(ours) == set(SKILL)

    def test_generalism_is_after_less_before(self, data):
        row = tables(data)["Generalism"][0]

        assert (row["before"]["mean"], row["after"]["mean"]) == (50.0, 41.0)
        assert (row["change"]["mean"], row["change"]["std"]) == (-9.0, 1.0)

    def test_costs_are_means_over_seeds(self, data):
        rows = {row["arm"]: row for row in tables(data)["Cost"]}

        assert rows["flat"]["trained, k tokens"]["mean"] == 10.0
        assert rows["flat"]["seconds"]["text"] == "13.5 ± 1.0"
        assert rows["base"]["rank"]["mean"] == 0.0

    def test_folds_say_what_was_kept(self, data):
        (row,) = tables(data)["Folds"]

        assert row["energy kept"]["mean"] == 90.0
        assert row["strongest before"]["mean"] == 3.0


class TestMissing:
    def test_a_whole_study_says_so(self, data):
        assert "Nothing is missing." in sentences(data)

    def test_a_seed_that_another_arm_has_is_missed(self, tmp_path):
        short = [run for run in runs() if run.file != "runs/dream-1.json"]

        report(short, "Phases", tmp_path)

        data = json.loads((tmp_path / "report.json").read_text())
        rows = {row["arm"]: row for row in tables(data)["What was run"]}
        assert "The arm dream lacks seeds: 1." in sentences(data)
        assert rows["dream"]["missing seeds"] == "1"
        assert rows["dream"]["seeds"] == "0, 2"
        assert "The arm dream lacks seeds: 1." in (tmp_path / "report.md").read_text()
        assert "The arm dream lacks seeds: 1." in (tmp_path / "report.html").read_text()
        assert "runs/dream-1.json" not in (tmp_path / "report.md").read_text()

    def test_a_planned_arm_that_was_not_run_is_missed(self, tmp_path):
        """
        Planned arms come in the order of the plan.
        """
        expected = dict.fromkeys(["random", "dream", "flat", "base"], (*SEEDS, 3))

        report(runs(), "Phases", tmp_path, expected)

        data = json.loads((tmp_path / "report.json").read_text())
        assert "The arm random was not run (seeds 0, 1, 2, 3)." in sentences(data)
        assert "The arm base lacks seeds: 3." in sentences(data)
        assert [row["arm"] for row in tables(data)["What was run"]] == [*expected]
        assert [row["arm"] for row in tables(data)["Cost"]] == ["dream", "flat", "base"]

    def test_a_control_that_was_not_run_is_missed(self, tmp_path):
        report([made_up("dream", 0)], "Phases", tmp_path, None, ("flat",))

        data = json.loads((tmp_path / "report.json").read_text())
        assert "The control arm flat was not run" in sentences(data)
        assert "Paired differences" not in tables(data)

    def test_runs_of_different_bases_are_told(self, tmp_path):
        other = replace(made_up("dream", 0), base="other")

        report([made_up("base", 0), other], "Phases", tmp_path)

        words = (tmp_path / "report.md").read_text()
        assert "differ in their base: builtin:nano, other; compare with care" in words

    def test_runs_of_different_code_are_told(self, tmp_path):
        """
        How many of each; of a run of before it is not known.
        """
        base, flat, dream, more = (
            replace(made_up(arm, seed), settings={"rank": 8, **code})
            for arm, seed, code in [
                ("base", 0, {}),
                ("flat", 0, {"code": "0123"}),
                ("dream", 0, {"code": "4567"}),
                ("dream", 1, {"code": "4567"}),
            ]
        )

        assert "code" not in told(tmp_path, dream, more)
        assert "code" not in told(tmp_path, base)
        words = told(tmp_path, base, flat, dream, more)
        assert "by 3 versions of the code: 4567 (2), unknown (1), 0123 (1)" in words
        assert "differ in their settings" not in words

    def test_questions_in_other_words_are_not_paired_and_that_is_said(self, tmp_path):
        """
        As with another language: ids are the same. Other seeds' pairs still count.
        """
        base, dream, more = (made_up(*run) for run in [("base", 0), *DREAMS])
        first, *others = dream.answers
        changed = replace(dream, answers=(replace(first, prompt="?"), *others))

        words = told(tmp_path, base, changed, more)

        assert "arm dream and the control base, 2 questions of the same" in words
        assert "in other words: these are not compared." in words
        rows = tables(json.loads((tmp_path / "report.json").read_text()))
        pairs = {row["measure"]: row for row in rows["Paired differences"]}
        assert pairs["exact"]["pairs"]["value"] == 11
        assert pairs["exact"]["unpaired"]["value"] == 2 + 12
        assert pairs["adversarial"]["pairs"]["value"] == 12

    def test_arms_that_were_asked_nothing_alike_are_said_to_be_so(self, tmp_path):
        base, dream = made_up("base", 0), made_up("dream", 0)
        others = tuple(replace(answer, prompt="?") for answer in dream.answers)

        words = told(tmp_path, base, replace(dream, answers=others))

        assert "all of them, so the two are not compared." in words

    def test_a_question_that_one_was_not_asked_is_said(self, tmp_path):
        base, dream = made_up("base", 0), made_up("dream", 0)

        words = told(tmp_path, base, replace(dream, answers=dream.answers[1:]))

        assert "arm dream and the control base, 1 question of the same" in words

    def test_a_run_without_answers_is_reported(self, tmp_path):
        """
        There is nothing to score, to compare or to draw: that is said.
        """
        bare = replace(made_up("base", 0), answers=(), general={})

        report([bare], "Phases", tmp_path)

        words = sentences(json.loads((tmp_path / "report.json").read_text()))
        assert words.count("No run measured it.") >= 4
        assert "A radar needs three dimensions or more." in words

    def test_an_arm_that_lacks_a_dimension_is_named_at_the_radar(self, tmp_path):
        run = made_up("dream", 0)
        short = tuple(a for a in run.answers if a.dimension != "errors")

        report([made_up("base", 0), replace(run, answers=short)], "Phases", tmp_path)

        data = json.loads((tmp_path / "report.json").read_text())
        rows = {row["arm"]: row for row in tables(data)["Summary"]}
        assert "Runs without all dimensions are left out: dream." in sentences(data)
        assert rows["dream"]["composite"] == "-"
        assert rows["dream"]["exact"]["mean"] >= 0
        assert rows["dream"]["no catastrophic error"] == "-"

    def test_another_domain_has_no_composite(self, tmp_path):
        answers = tuple(
            GradedAnswer(
                f"q{i}", "logic", "?", "!", {"right": i % 2, "right.deep": 1.0}
            )
            for i in range(4)
        )

        report([replace(made_up("base", 0), answers=answers)], "Phases", tmp_path)

        (row,) = tables(json.loads((tmp_path / "report.json").read_text()))["Summary"]
        assert row["composite"] == "-"
        assert row["right"]["mean"] == 50.0


class TestPage:
    def test_it_is_well_formed_and_needs_nothing_else(self, page):
        assert page.open == []
        assert page.links == []
        assert {"script", "link", "iframe", "object", "img"}.isdisjoint(page.tags)

    def test_its_style_fetches_nothing(self, whole):
        text = (whole / "report.html").read_text()

        assert "url(" not in text
        assert "@import" not in text
        assert "default-src 'none'" in text

    def test_every_chart_has_a_title_and_a_description(self, page):
        """
        Six bars, the curves, one spectrum and the radar.
        """
        assert page.tags.count("svg") == 9
        assert page.tags.count("desc") == 9
        assert page.tags.count("title") == 10

    def test_it_is_readable_in_light_and_dark(self, whole):
        text = (whole / "report.html").read_text()

        assert "color-scheme: light dark" in text
        assert 'fill="black"' not in text
        assert 'fill="white"' not in text

    def test_a_nasty_answer_stays_an_answer(self, tmp_path):
        report([made_up("base", 0, NASTY)], "<b>Nasty</b> | title", tmp_path)

        text = (tmp_path / "report.html").read_text()
        page = Page(text)
        assert {"script", "img", "b"}.isdisjoint(page.tags)
        assert page.open == []
        assert page.links == []
        assert NASTY.replace("\x00", "\ufffd") in page.words
        assert "\x00" not in text

    def test_a_nasty_answer_stays_in_its_cell_of_the_markdown(self, tmp_path):
        report([made_up("base", 0, NASTY)], "<b>Nasty</b> | title", tmp_path)

        lines = (tmp_path / "report.md").read_text().splitlines()
        found = [line for line in lines if "alert" in line]
        assert found
        assert all(line.startswith("| ") and line.endswith(" |") for line in found)
        assert {line.replace(r"\|", "").count("|") for line in found} == {8}
        assert all("<" not in line and "[b](" not in line for line in found)

    @pytest.mark.parametrize("odd", ["", " ", "\n\n", "a" * 5000, "\ud800", "é✓\u202e"])
    def test_any_answer_can_be_shown(self, tmp_path, odd):
        paths = report([made_up("base", 0, odd)], "Odd", tmp_path)

        assert all(path.read_text(encoding="utf-8") for path in paths)
        assert "a" * 401 not in (tmp_path / "report.md").read_text()
