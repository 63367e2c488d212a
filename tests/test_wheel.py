"""The wheel carries all it needs, and works from another folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CARRIED = {
    "sleepcycle/config.toml",
    "sleepcycle/migrations/env.py",
    "sleepcycle/migrations/versions/0001_first_tables.py",
    "sleepcycle/nano/model.safetensors",
    "sleepcycle/nano/chat_template.jinja",
    "sleepcycle/nano/tokenizer.json",
    "sleepcycle/curricula/four_phases.toml",
    "sleepcycle/lessons/capitals.jsonl",
    "sleepcycle/lessons/capitals.questions.jsonl",
    "sleepcycle/dashboard/templates/base.html",
    "sleepcycle/dashboard/static/vendored.json",
    "sleepcycle/dashboard/static/vendor/htmx.min.js",
    "sleepcycle/dashboard/static/vendor/uPlot.LICENSE",
}
MAX_BYTES = 15_000_000


def build(source, folder):
    """Build a wheel of a source tree, with what is installed here."""
    words = "-m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir"
    subprocess.run(
        [sys.executable, *words.split(), str(folder), str(source)],
        check=True,
        cwd=folder,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this tree."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_study_has_a_wheel_of_its_own(tmp_path):
    """
    With its plans, the command that it brings, and the service as what it needs.
    """
    archive = zipfile.ZipFile(build(ROOT / "study", tmp_path))
    [metadata] = [name for name in archive.namelist() if name.endswith("METADATA")]
    [points] = [name for name in archive.namelist() if name.endswith("points.txt")]

    assert "sleepcycle_study/plans/quick.toml" in archive.namelist()
    assert any(name.endswith("LICENSE") for name in archive.namelist())
    assert b"Requires-Dist: sleepcycle<0.3,>=0.2" in archive.read(metadata)
    assert b"[sleepcycle.commands]\nstudy =" in archive.read(points)


def test_it_carries_what_is_needed_and_no_more(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())

    assert names >= CARRIED
    assert not [name for name in names if name.startswith(("tests", "tools", "study"))]
    assert not [name for name in names if "sleepcycle_study" in name]
    assert wheel.stat().st_size < MAX_BYTES


def test_it_works_from_another_folder(wheel, tmp_path):
    """
    Unpacked alone, with nothing of the source tree in reach.
    """
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    env = os.environ | {"PYTHONPATH": str(tmp_path / "site")}

    def sleepcycle(*words):
        command = [sys.executable, "-P", "-m", "sleepcycle", "--home", "home", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True
        ).stdout

    place = "import sleepcycle; print(sleepcycle.__file__)"
    found = subprocess.run(
        [sys.executable, "-P", "-c", place],
        cwd=tmp_path,
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert found.startswith(str(tmp_path / "site"))

    sleepcycle("init")
    sleepcycle("feed", str(tmp_path / "site/sleepcycle/lessons/capitals.jsonl"))
    assert "pending      384" in sleepcycle("status")
    assert sleepcycle("ask", "What is 2 + 3?") == "5\n"
