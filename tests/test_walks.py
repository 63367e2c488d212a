"""The walks of docs/how-to/extend: their files are there, and their seams hold."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from sleepcycle.feed import shapes, sources
from sleepcycle.feed.jsonl import read_lines
from sleepcycle.feed.shapes import AS_THEY_ARE, Format
from sleepcycle.home.export_formats import WRITERS, ExportFormat
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.learning import distillation, fold, gate
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records.content import Text
from sleepcycle.records.verdict import Loss
from sleepcycle.settings.choices import RankPolicy
from sleepcycle.settings.config import (
    FeedSettings,
    GateSettings,
    SleepSettings,
)

ROOT = Path(__file__).parents[1]
WALKS = sorted((ROOT / "docs" / "how-to" / "extend").glob("*.md"))
STEP = re.compile(r"^\d\. (.+)$", re.MULTILINE)
PLACE = re.compile(r"`((?:sleepcycle|docs)/[\w/]+(?:\.\w+|/))`")
PROSE = re.compile(r"`([\w/-]+\.md)`, `(#+ [^`]+)`")
FIND = re.compile(r"[Ff]ind `([^`]+)`")


def steps(walk):
    """Return the place of each step of a walk, and the lines to find there."""
    for said in STEP.findall(walk.read_text()):
        place = PLACE.search(said)
        assert place, said
        yield ROOT / place[1], FIND.findall(said)


def test_there_are_seven_walks():
    assert len(WALKS) == 7


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_a_walk_touches_four_places_at_most_and_names_the_lines(walk):
    """
    A walk that has lost its way is worse than none.
    """
    found = list(steps(walk))

    assert 1 <= len({place for place, _ in found}) <= 4
    for place, lines in found:
        assert place.exists(), place
        text = place.read_text() if place.is_file() else ""
        assert [line for line in lines if line not in text] == [], place


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_the_prose_that_a_walk_names_is_there(walk):
    """
    Each walk names some, since what is written by hand goes stale.
    """
    said = walk.read_text()
    named = PROSE.findall(said)

    assert named
    for page, heading in named:
        assert f"\n{heading}\n" in "\n" + (ROOT / page).read_text(), (page, heading)


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_a_walk_ends_with_the_pages_that_read_the_golden_files(walk):
    said = walk.read_text()

    assert 0 < said.rindex("SLEEPCYCLE_WRITE_GOLDEN=1") < said.rindex("`make docs`")


def test_a_number_of_the_night_is_handed_in_where_the_walk_says():
    mending = (ROOT / "sleepcycle" / "learning" / "mending.py").read_text()

    assert "gate.measure(" in mending


@dataclasses.dataclass(frozen=True)
class HalfRank:
    """Half of each layer's directions."""

    def choose(self, layers):
        """Return the rank of each layer."""
        return {name: layer.rank // 2 for name, layer in layers.items()}


def test_a_rank_policy_is_a_class_and_a_line(monkeypatch):
    monkeypatch.setitem(fold.POLICIES, RankPolicy.FIXED, lambda svd: HalfRank())
    rng = torch.Generator().manual_seed(7)
    change = LowRank(torch.randn(9, 6, generator=rng), torch.randn(6, 8, generator=rng))

    folded = fold.fold_adapter({"layer": change}, SleepSettings())

    assert folded.rank == 3


def test_every_rank_policy_has_its_line():
    assert set(fold.POLICIES) == set(RankPolicy)


def test_a_container_is_a_reader_and_a_line(monkeypatch, tmp_path):
    def read_notes(stream, settings, shape):
        for row in read_lines(stream, settings.max_row_bytes):
            yield dataclasses.replace(row, value={"text": row.raw.decode()})

    notes = sources.Container(
        "notes", lambda found: found.suffix == ".notes", read_notes
    )
    monkeypatch.setattr(sources, "CONTAINERS", (*sources.CONTAINERS, notes))
    (tmp_path / "a.notes").write_text("one\ntwo\n")

    rows = sources.read_source(tmp_path / "a.notes", FeedSettings(), AS_THEY_ARE)

    assert [row.value for row in rows] == [{"text": "one"}, {"text": "two"}]


def test_a_shape_is_its_keys_and_its_converter(monkeypatch):
    monkeypatch.setitem(shapes.KEYS, Format.TEXT, {"title", "body"})
    monkeypatch.setitem(
        shapes._CONVERTERS,
        Format.TEXT,
        lambda fields, _: Text(f"{fields.take('title')}: {fields.take('body')}"),
    )
    row = {"title": "Rain", "body": "It falls."}

    shape = shapes.shape_of(row)

    assert shape is Format.TEXT
    assert shapes.to_content(row, shape) == Text("Rain: It falls.")


def test_every_shape_has_keys_and_a_converter():
    assert set(shapes.KEYS) == set(shapes._CONVERTERS) == set(Format)


def test_a_gate_check_is_a_function_and_a_line(monkeypatch):
    def few(found, limits):
        if found.acquisition is None:
            return None
        enough = found.acquisition.examples >= 8
        return gate.Check("enough", enough, "fewer than 8 examples were measured")

    monkeypatch.setattr(gate, "CHECKS", (*gate.CHECKS, few))
    measured = gate.Measures(acquisition=Loss(2.0, 1.0, examples=4, tokens=40))

    verdict = gate.judge(
        measured, GateSettings(max_general_kl=2.0, max_agreement_loss=1.0)
    )

    assert not verdict.accepted
    assert verdict.failed == ("enough",)
    assert verdict.reason == "fewer than 8 examples were measured"


def test_a_publish_target_is_a_function_and_a_line(monkeypatch, tmp_path):
    def write_name(order):
        order.folder.mkdir()
        (order.folder / "source").write_text(str(order.source))

    monkeypatch.setitem(WRITERS, ExportFormat.MERGED, write_name)
    create_home(tmp_path / "home")
    home = open_home(tmp_path / "home")

    home.versions.export("v0", tmp_path / "out", ExportFormat.MERGED)

    assert (tmp_path / "out" / "source").read_text() == "None"


def test_every_publish_target_has_its_line():
    assert set(WRITERS) == set(ExportFormat)


def test_the_loss_of_rem_takes_the_divergence_that_stands_there(monkeypatch):
    """
    Of one token half is gold: with a divergence of 6 nats the loss rises by 3.
    """
    tokens = distillation.TaughtTokens(
        targets=torch.tensor([1]),
        weights=torch.tensor([1.0]),
        gold=torch.tensor([0.5]),
        top_ids=torch.tensor([[1]]),
        top_logs=torch.zeros(1, 1),
        tail=torch.zeros(1),
    )

    def loss(nats):
        monkeypatch.setattr(
            distillation,
            "top_divergence",
            lambda student, teacher: torch.tensor([nats]),
        )
        return float(distillation.taught_losses(torch.zeros(1, 4), tokens))

    assert loss(6.0) - loss(0.0) == pytest.approx(3.0)
