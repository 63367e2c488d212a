from dataclasses import replace

import pytest
from safetensors.torch import load_file

from sleepcycle.doctor.memory_estimate import read_shape, wake_bytes
from sleepcycle.errors import ModelError
from sleepcycle.settings.config import Settings
from tests.doctor.examined import NANO


class TestMemoryEstimate:
    def test_the_parameters_are_counted(self):
        weights = load_file(NANO / "model.safetensors")
        counted = sum(tensor.numel() for tensor in weights.values())

        assert read_shape(NANO).parameters == counted

    def test_each_thing_that_grows_a_wake_grows_the_estimate(self):
        shape = read_shape(NANO)
        plain = wake_bytes(shape, Settings())

        for section in ({"batch_size": 16}, {"rank": 64}):
            assert wake_bytes(shape, Settings(wake=section)) > plain
        assert wake_bytes(shape, Settings(model={"max_length": 64})) < plain

    def test_half_the_precision_is_half_the_base(self):
        shape = replace(read_shape(NANO), layers=0, edges=0, vocabulary=0)
        whole = wake_bytes(shape, Settings())

        half = wake_bytes(shape, Settings(model={"dtype": "bfloat16"}))

        assert whole - half == 2 * shape.parameters

    def test_what_is_no_safetensors_is_refused(self, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "model.safetensors").write_bytes(b"\x08" + bytes(7) + b"no json!")

        with pytest.raises(ModelError, match="to be safetensors"):
            read_shape(tmp_path)
