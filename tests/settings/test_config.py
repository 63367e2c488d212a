"""Settings: the file, the environment, and what they refuse."""

import json
import math
import os
import re
import tomllib
from pathlib import Path
from typing import ClassVar

import pytest

from sleepcycle.errors import ConfigError
from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import (
    load_settings,
    recorded_settings,
    settings_from,
)
from tools.render_config import render

UNREADABLE = [
    b"a = " + b"9" * 4_301,
    b"a = " + b"[" * 5_000,
    b"a = " + b"{a=" * 5_000,
    b'a = "\xff"',
    b"a = ",
]
REFERENCE = Path(__file__).parents[2] / "config.toml"


class TestReference:
    def test_it_is_what_the_models_say(self):
        """
        Every key, default and comment of config.toml comes from the code.
        """
        assert REFERENCE.read_text() == render()

    def test_it_loads_to_the_defaults(self):
        assert settings_from(tomllib.loads(REFERENCE.read_text())) == Settings()


class TestPrecedence:
    def test_environment_wins_over_file_over_default(self, tmp_path, monkeypatch):
        file = tmp_path / "config.toml"
        file.write_text("[wake]\nrank = 4\nalpha = 8.0\n")
        monkeypatch.setenv("SLEEPCYCLE__WAKE__RANK", "2")

        settings = load_settings(file)

        assert settings.wake.rank == 2
        assert settings.wake.alpha == 8.0
        assert settings.wake.batch_size == Settings().wake.batch_size

    def test_a_folder_in_its_place_is_no_file_of_settings(self, tmp_path):
        with pytest.raises(ConfigError, match=r"got: Is a directory; see to it"):
            load_settings(tmp_path)

    def test_an_absent_file_leaves_the_defaults(self, tmp_path):
        assert load_settings(tmp_path / "none.toml") == Settings()

    def test_a_nested_table_is_reached_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("SLEEPCYCLE__SLEEP__SVD__RANK", "8")

        assert settings_from({}).sleep.svd.rank == 8

    def test_a_list_and_a_table_are_json_in_the_environment(self, monkeypatch):
        monkeypatch.setenv("SLEEPCYCLE__MODEL__TARGET_MODULES", '["q_proj"]')
        monkeypatch.setenv("SLEEPCYCLE__WAKE", '{"rank": 8}')

        settings = settings_from({"wake": {"alpha": 8.0}})

        assert settings.model.target_modules == ["q_proj"]
        assert (settings.wake.rank, settings.wake.alpha) == (8, 8.0)


class TestRefusal:
    @pytest.mark.parametrize("text", UNREADABLE)
    def test_a_file_that_python_cannot_take_in_is_one_sentence(self, tmp_path, text):
        """
        A number of too many digits and brackets too deep are no faults of TOML's own.
        """
        file = tmp_path / "config.toml"
        file.write_bytes(text)

        with pytest.raises(ConfigError, match=r"config\.toml: expected TOML, got: .+"):
            load_settings(file)

    @pytest.mark.parametrize("digits", ["0x" + "f" * 9_000, "1e" + "9" * 9_000])
    def test_a_number_too_long_to_write_is_refused(self, tmp_path, digits):
        """
        Python reads a long number in hexadecimal, and cannot write it as decimal.
        """
        file = tmp_path / "config.toml"
        file.write_text(f"[wake]\nrank = {digits}\n")

        with pytest.raises(ConfigError, match=r"setting wake\.rank: expected .*, got"):
            load_settings(file)

    def test_a_pipe_in_its_place_is_refused_and_not_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "config.toml")

        with pytest.raises(ConfigError, match=r"a plain file in .*toml, got a pipe"):
            load_settings(tmp_path / "config.toml")

    def test_a_file_that_never_ends_is_not_read(self):
        with pytest.raises(ConfigError, match=r"file in /dev/zero, got a device"):
            load_settings(Path("/dev/zero"))

    def test_a_huge_file_is_refused_before_it_is_in_memory(self, tmp_path):
        file = tmp_path / "config.toml"
        with file.open("wb") as opened:
            opened.truncate(1 << 40)

        with pytest.raises(ConfigError, match=r"at most 1,048,576 bytes of TOML in"):
            load_settings(file)

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("SLEEPCYCLE__WAKE__RANK", "9" * 4_301),
            ("SLEEPCYCLE__WAKE__RANK", "[" * 5_000),
            ("SLEEPCYCLE__WAKE__LR", "9" * 4_301),
            ("SLEEPCYCLE__WAKE__DAYS", "[" * 5_000),
            ("SLEEPCYCLE__WAKE", '{"rank": ' + "9" * 4_301 + "}"),
            ("SLEEPCYCLE__SLEEP__SVD", '{"a":' * 5_000),
        ],
    )
    def test_a_variable_that_python_cannot_take_in_is_named(
        self, monkeypatch, variable, value
    ):
        monkeypatch.setenv(variable, value)

        with pytest.raises(ConfigError, match=r"(?i)sleepcycle__|wake\."):
            settings_from({})

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"wake": {"rnk": 3}}, r"wake\.rnk; did you mean wake\.rank\?"),
            ({"wakes": {}}, r"unknown setting wakes; did you mean wake\?"),
            ({"sleep": {"svd": {"rnak": 1}}}, r"did you mean sleep\.svd\.rank\?"),
            (
                {"wake": {"rank": 0}},
                r"wake\.rank: .* at least 1, got 0",
            ),
            (
                {"feed": {"held_out_share": 1.0}},
                r"held_out_share: .*a number below 1",
            ),
            (
                {"sleep": {"svd": {"policy": "all"}}},
                r'policy: expected "fixed", "energy" or "budget"',
            ),
            ({"wake": 3}, r"wake: expected a table of keys, got 3"),
            (
                {"sleep": {"svd": {"rank": 4, "min_rank": 5}}},
                r"svd\.min_rank: expected at most rank, which is 4, got 5",
            ),
            ({"sleep": {"stages": ["rem", "rem"]}}, r"stages: .*no word twice"),
            ({"sleep": {"stages": "rem"}}, r'stages: expected a list or "auto"'),
            (
                {"sleep": {"rem": {"memory": ["store", "store"]}}},
                r"rem\.memory: .*no word twice",
            ),
            ({"feed": {"max_depth": 501}}, r"max_depth: .*a number of at most 500"),
            (
                {"wake": {"max_loss": math.inf}},
                r"max_loss: .* finite, got inf",
            ),
        ],
    )
    def test_it_names_the_setting_and_what_was_expected(self, fields, message):
        with pytest.raises(ConfigError, match=message):
            settings_from(fields)

    def test_broken_toml_names_the_file_and_the_place(self, tmp_path):
        file = tmp_path / "config.toml"
        file.write_text("[wake\n")

        with pytest.raises(
            ConfigError, match=r"config\.toml: expected TOML, got: .*line 1"
        ):
            load_settings(file)

    @pytest.mark.parametrize(
        ("variable", "hint"),
        [
            ("SLEEPCYCLE__WAKE__RNK", r"; did you mean SLEEPCYCLE__WAKE__RANK\?"),
            ("SLEEPCYCLE__WAEK__RANK", r"; did you mean SLEEPCYCLE__WAKE__RANK\?"),
            (
                "SLEEPCYCLE__SLEEP__SDV__RANK",
                r"; did you mean SLEEPCYCLE__SLEEP__SVD__RANK\?",
            ),
            ("SLEEPCYCLE__WAKE__RANK__MOST", "$"),
            ("SLEEPCYCLE__", "$"),
        ],
    )
    def test_an_unknown_variable_of_ours_is_refused(self, monkeypatch, variable, hint):
        monkeypatch.setenv(variable, "8")

        with pytest.raises(ConfigError, match=f"unknown variable {variable}{hint}"):
            settings_from({})

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("SLEEPCYCLE__WAKE", "abc"),
            ("SLEEPCYCLE__WAKE", ""),
            ("SLEEPCYCLE__SLEEP__SVD", "rank"),
            ("SLEEPCYCLE__MODEL__TARGET_MODULES", "q_proj"),
            ("SLEEPCYCLE__MODEL__TARGET_MODULES", "[" * 100_000),
        ],
        ids=lambda text: text[:40],
    )
    def test_a_variable_that_must_be_json_is_named(self, monkeypatch, variable, value):
        monkeypatch.setenv(variable, value)

        with pytest.raises(ConfigError, match=f"expected JSON in {variable}, got '"):
            settings_from({})


def test_a_run_keeps_its_order_whatever_the_environment_says(monkeypatch):
    """
    Else a version would be trained with other settings than its card says.
    """
    ordered = Settings(wake={"rank": 8}).model_dump(mode="json")
    monkeypatch.setenv("SLEEPCYCLE__WAKE__RANK", "4")

    assert recorded_settings(ordered).wake.rank == 8
    assert settings_from(ordered).wake.rank == 4


@pytest.mark.parametrize(
    "name", ["*", "Model.example", "http://a", "a:80", "", "a b", "[::1", "-a", "*.a"]
)
def test_a_host_is_a_plain_name(name):
    """
    What looks like a pattern would be none.
    """
    with pytest.raises(ConfigError, match=r"serve\.hosts.*expected a host's name"):
        settings_from({"serve": {"hosts": [name]}})


@pytest.mark.parametrize("name", ["a", "model.example", "10.0.0.2", "[fd00::1]"])
def test_a_host_may_be_a_name_or_an_address(name):
    assert settings_from({"serve": {"hosts": [name]}}).serve.hosts == [name]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5"])
def test_an_address_for_others_needs_names_by_which_they_reach_it(address):
    with pytest.raises(ConfigError, match=r"expected names in serve\.hosts"):
        settings_from({"serve": {"bind": address}})

    named = {"bind": address, "hosts": ["model.example"]}
    assert settings_from({"serve": named}).serve.bind == address


@pytest.mark.parametrize("address", ["", "localhost", "*", "1.2.3", "127.0.0.1:80"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match=r"serve\.bind.*expected an IP address"):
        settings_from({"serve": {"bind": address}})


class TestTargets:
    BOX: ClassVar = {"kind": "vllm", "name": "box", "url": "http://127.0.0.1:8000/"}

    def settings_of(self, *targets):
        return settings_from({"publish": {"target": list(targets)}})

    def test_a_table_of_each_kind_is_read(self, tmp_path):
        """
        The tables of the reference, without their marks of a comment, are settings.
        """
        said = REFERENCE.read_text().split("[publish]\n")[1].split("\n\n")[0]
        tables = re.sub("(?m)^# ", "", said[said.index("# [[") :]).split("#\n")
        text = "\n".join(
            re.sub(r"(?m)^[A-Z].*", "", table).replace("gpu-box", f"box-{number}")
            for number, table in enumerate(tables)
        )
        file = tmp_path / "config.toml"
        file.write_text(f"[publish]\n{text}")

        targets = load_settings(file).publish.target

        assert [each.kind for each in targets] == [
            "vllm",
            "sglang",
            "folder",
            "webhook",
        ]

    def test_an_address_ends_without_a_slash(self):
        [box] = self.settings_of(self.BOX).publish.target

        assert box.url == "http://127.0.0.1:8000"

    def test_the_environment_has_them_as_json(self, monkeypatch):
        monkeypatch.setenv("SLEEPCYCLE__PUBLISH__TARGET", json.dumps([self.BOX]))

        assert settings_from({}).publish.target[0].name == "box"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"urll": "x"}, r"target\.box\.urll; did you mean .*\.box\.url\?"),
            (
                {"path": "/x"},
                r"unknown setting publish\.target\.box\.path; known are k",
            ),
            ({"kind": "vlm"}, r'box\.kind: expected one of "vllm", .*, got \'vlm\''),
            ({"kind": None}, r"setting publish\.target\.box\.kind: expected one of"),
            (
                {"kind": "folder"},
                r"publish\.target\.box\.path: expected a value, got non",
            ),
            ({"name": "a b"}, r"target\.a b\.name: expected a name .*, got 'a b'"),
            ({"alias": "Live"}, r"box\.alias: expected an alias such as"),
            ({"serve_as": "a@b"}, r"box\.serve_as: expected a model's name of up"),
            ({"in_place": 3}, r"box\.in_place: expected true or false, got 3"),
        ],
    )
    def test_a_fault_names_the_target_and_what_was_expected(self, changes, message):
        with pytest.raises(ConfigError, match=message):
            self.settings_of({**self.BOX, **changes})

    @pytest.mark.parametrize(
        "url", ["127.0.0.1:8000", "ftp://a", "http://", "http://a?b", "http://a b"]
    )
    def test_what_is_no_address_is_refused(self, url):
        with pytest.raises(ConfigError, match=r"box\.url: expected an address such as"):
            self.settings_of({**self.BOX, "url": url})

    def test_a_password_in_an_address_is_refused_and_not_shown(self):
        url = "http://me:hunter2@a"

        with pytest.raises(ConfigError, match=r"without a user and a pass") as fault:
            self.settings_of({**self.BOX, "url": url})

        assert "hunter2" not in str(fault.value)

    def test_without_a_kind_one_is_asked_for(self):
        with pytest.raises(ConfigError, match=r"target\.a: expected a value, .* kind"):
            self.settings_of({"name": "a"})

    def test_no_two_have_one_name(self):
        with pytest.raises(ConfigError, match=r"each name once, got box again"):
            self.settings_of(self.BOX, self.BOX)
