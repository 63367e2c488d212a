"""The files of a study's runs."""

import json
import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment.results import (
    CODE,
    Curve,
    Fold,
    GradedAnswer,
    StudyRun,
    file_name,
    fingerprint,
    has,
    read,
    read_run,
    write,
)

SETTINGS = {"rank": 16, "phases": ["foundation", "delegation"], "lr": 2e-4}


def outcome(**changes: object) -> StudyRun:
    """Return a whole run, with some of it changed."""
    whole = StudyRun(
        study="phases",
        arm="Flat, half more",
        seed=3,
        base="builtin:nano",
        domain="arithmetic",
        tokens_trained=12_000,
        tokens_read=300,
        seconds=1.5,
        rank=8,
        curves=(Curve("foundation", ((1, 2.5), (2, 1.25), (3, None))),),
        folds=(Fold("delegation", 0.97, 8, (3.0, 0.5), (3.0, 0.25)),),
        answers=(
            GradedAnswer(
                "exact-0", "exact", "Calculate: 1 + 1 =", " 2", {"exact": 1.0}
            ),
            GradedAnswer(
                "tool-0", "tool", "Solve: 8 * 9", "é\n\x00\ud800", {}, "8 * 9"
            ),
        ),
        general={"lambada": {"before": 0.5, "after": None}},
        settings=SETTINGS,
    )
    return replace(whole, **changes)


def spoil(path: Path, **changes: object) -> None:
    """Change the outermost keys of a run's file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


class TestRoundTrip:
    def test_what_is_written_is_read(self, tmp_path):
        path = write(tmp_path, outcome())

        assert path == tmp_path / "runs" / "flat-half-more-3.json"
        assert read(tmp_path) == [outcome()]

    def test_a_bare_run_is_read_too(self, tmp_path):
        """
        The base alone learns nothing and folds nothing.
        """
        bare = outcome(curves=(), folds=(), answers=(), general={}, settings={})

        write(tmp_path, bare)

        assert read(tmp_path) == [bare]

    def test_runs_come_by_arm_and_seed(self, tmp_path):
        """
        Seed 10 after seed 9, whatever their files' names say.
        """
        for arm, seed in [("b", 0), ("a", 10), ("a", 9)]:
            write(tmp_path, outcome(arm=arm, seed=seed))

        found = [(run.arm, run.seed) for run in read(tmp_path)]

        assert found == [("a", 9), ("a", 10), ("b", 0)]

    def test_no_runs_yet_are_none(self, tmp_path):
        assert read(tmp_path) == []

    def test_a_run_is_written_in_place_of_itself(self, tmp_path):
        write(tmp_path, outcome())
        write(tmp_path, outcome(seconds=9.0))

        assert [run.seconds for run in read(tmp_path)] == [9.0]

    def test_a_loss_that_is_no_number_is_none(self, tmp_path):
        curve = Curve("foundation", ((1, math.nan), (2, math.inf), (3, 0.5)))

        write(tmp_path, outcome(curves=(curve,)))

        assert read(tmp_path)[0].curves[0].losses == ((1, None), (2, None), (3, 0.5))

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_score_that_is_no_number_is_refused(self, tmp_path, value):
        """
        Before anything is written: it could not be read again.
        """
        answer = GradedAnswer("exact-7", "exact", "?", "?", {"exact": value})

        with pytest.raises(StudyError, match="exact of question exact-7 to be a numb"):
            write(tmp_path, outcome(answers=(answer,)))
        assert not (tmp_path / "runs").exists()


class TestNames:
    @pytest.mark.parametrize(
        ("arm", "name"),
        [
            ("base", "runs/base-0.json"),
            ("SVD 16->8", "runs/svd-16-8-0.json"),
            ("../../etc", "runs/etc-0.json"),
            ("…", "runs/arm-0.json"),
        ],
    )
    def test_any_arm_has_a_file_name(self, arm, name):
        assert file_name(arm, 0) == name

    def test_two_arms_with_one_name_are_refused(self, tmp_path):
        write(tmp_path, outcome(arm="a b"))

        with pytest.raises(StudyError, match="'a-b' and 'a b', which share"):
            write(tmp_path, outcome(arm="a-b"))


class TestFingerprint:
    def test_the_same_settings_have_the_same(self):
        """
        In any order, and as they come back from a file.
        """
        back = json.loads(json.dumps(SETTINGS))

        assert fingerprint(dict(reversed(SETTINGS.items()))) == fingerprint(SETTINGS)
        assert fingerprint(back) == fingerprint(SETTINGS)

    def test_the_code_has_no_part_in_it(self, tmp_path):
        """
        Nor has it in runs of before, which do not name it.
        """
        write(tmp_path, outcome(settings=SETTINGS | {CODE: "0123456789abcdef"}))

        assert fingerprint(SETTINGS | {CODE: "other"}) == fingerprint(SETTINGS)
        assert has(tmp_path, "Flat, half more", 3, fingerprint(SETTINGS))

    @pytest.mark.parametrize(
        "settings",
        [{"a": (1, 2)}, {"a": Path("x/y")}, {"a": math.nan}, {"a": {"b": None}}],
    )
    def test_it_outlives_the_file(self, tmp_path, settings):
        write(tmp_path, outcome(settings=settings))

        assert has(tmp_path, "Flat, half more", 3, fingerprint(settings))

    @pytest.mark.parametrize(
        "settings",
        [{}, SETTINGS | {"rank": 8}, SETTINGS | {"more": 1}, SETTINGS | {"lr": "2e-4"}],
    )
    def test_other_settings_have_another(self, settings):
        assert fingerprint(settings) != fingerprint(SETTINGS)


class TestHas:
    def test_a_run_is_there_only_as_it_was_decided(self, tmp_path):
        """
        Arm, seed and settings must be the same.
        """
        write(tmp_path, outcome())
        same = fingerprint(SETTINGS)

        assert has(tmp_path, "Flat, half more", 3, same)
        assert not has(tmp_path, "Flat, half more", 4, same)
        assert not has(tmp_path, "flat half more", 3, same)
        assert not has(tmp_path, "Flat, half more", 3, fingerprint({"rank": 8}))

    def test_a_damaged_run_is_told(self, tmp_path):
        path = write(tmp_path, outcome())
        path.write_text(path.read_text()[:-40])

        with pytest.raises(StudyError, match=r"flat-half-more-3\.json"):
            has(tmp_path, "Flat, half more", 3, fingerprint(SETTINGS))


class TestDamage:
    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"\xff\xfe\x00", b"null", b"[]", b'{"format": "other"}', b"{}"],
    )
    def test_a_foreign_file_is_refused_by_name(self, tmp_path, content):
        path = tmp_path / "runs" / "flat-0.json"
        path.parent.mkdir()
        path.write_bytes(content)

        with pytest.raises(StudyError, match=r"a run of a study .*flat-0\.json"):
            read(tmp_path)

    def test_a_changed_figure_is_noticed(self, tmp_path):
        path = write(tmp_path, outcome())
        path.write_text(path.read_text().replace("12000", "13000"))

        with pytest.raises(StudyError, match=r"flat-half-more-3\.json as it was writ"):
            read_run(path)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"outcome": None}, "as it was written"),
            ({"sha256": "0"}, "as it was written"),
            ({"sha256": None}, "as it was written"),
            ({"fingerprint": "0"}, "settings' fingerprint, got 0"),
            ({"format": "sleepcycle study run 9"}, "another file"),
        ],
    )
    def test_an_envelope_that_does_not_fit_is_refused(self, tmp_path, changes, message):
        path = write(tmp_path, outcome())
        spoil(path, **changes)

        with pytest.raises(StudyError, match=message):
            read_run(path)

    def test_a_run_that_lacks_something_is_refused(self, tmp_path):
        """
        Such as one that another program wrote: the hash holds, the fields do not.
        """
        path = write(tmp_path, outcome())
        whole = json.loads(path.read_text())
        del whole["outcome"]["tokens_read"]
        text = json.dumps(whole["outcome"], sort_keys=True)
        spoil(path, outcome=whole["outcome"], sha256=sha256(text.encode()).hexdigest())

        with pytest.raises(StudyError, match="got at tokens_read: Field required"):
            read_run(path)

    def test_a_run_under_another_name_is_refused(self, tmp_path):
        path = write(tmp_path, outcome())
        copied = path.rename(path.with_name("flat-4.json"))

        with pytest.raises(StudyError, match=r"got runs/flat-half-more-3\.json; give"):
            read_run(copied)

    def test_a_missing_file_is_told(self, tmp_path):
        with pytest.raises(StudyError, match=r"gone-0\.json, got what cannot be read"):
            read_run(tmp_path / "gone-0.json")
