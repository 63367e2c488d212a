"""A home says what it needs of memory, what would fit, and refuses what never does."""

import pytest

from sleepcycle.errors import ModelError
from sleepcycle.home.memory_report import (
    advice,
    expect_weights_fit,
    in_words,
    report_memory,
    report_of,
)
from sleepcycle.model.device_memory import DeviceMemory
from sleepcycle.settings.config import Settings
from tests.model.test_memory_need import qwen

GB = 10**9


def gpu(gigabytes):
    """Return a GPU with so much memory, all of it free."""
    return DeviceMemory(gigabytes * GB, gigabytes * GB, True)


class TestReport:
    def test_what_is_needed_and_what_is_there_is_one_clause(self):
        said = in_words(report_memory(Settings(), free_bytes=16 * GB))

        assert said.startswith("a wake needs up to ")
        assert said.endswith("16.0 GB of memory are free")

    def test_where_all_fits_nothing_is_advised(self):
        report = report_of(qwen(), Settings(), gpu(140))

        assert report.fits
        assert advice(report) == ""

    def test_on_a_small_gpu_layers_are_computed_twice(self):
        report = report_of(qwen(), Settings(), gpu(32))

        assert report.checkpointed
        assert report.fits
        assert "computing layers twice" in in_words(report)

    def test_what_would_fit_is_named(self):
        report = report_of(qwen(), Settings(), gpu(16))

        assert not report.fits
        assert 'model.quantization = "nf4"' in advice(report)

    def test_where_nothing_helps_that_is_said(self):
        assert "take a smaller base" in advice(report_of(qwen(), Settings(), gpu(3)))


class TestTooLarge:
    def test_weights_that_fit_in_16_bits_are_refused_in_32_with_that(self):
        settings = Settings(model={"dtype": "float32"})

        with pytest.raises(
            ModelError,
            match=r'into 24\.0 GB of memory, got 30\.5 GB; with model\.dtype = "bf',
        ):
            expect_weights_fit("qwen", qwen(), settings, gpu(24))

    def test_weights_that_never_fit_ask_for_another_base(self):
        with pytest.raises(ModelError, match="take a smaller base, since even in 4"):
            expect_weights_fit("qwen", qwen(), Settings(), gpu(4))
