"""What is remembered of a home's base."""

import pytest

from sleepcycle.files.base_memory import (
    recall_base,
    recall_quantization,
    remember_base,
)


def test_what_was_remembered_is_recalled(tmp_path):
    remember_base(tmp_path / "cache", {"sha256": "ab", "quantization": "Q4_K_M"})

    assert recall_base(tmp_path / "cache")["sha256"] == "ab"
    assert recall_quantization(tmp_path / "cache") == "Q4_K_M"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"quantization": 4}'])
def test_what_is_damaged_is_unknown(tmp_path, text):
    (tmp_path / "base.json").write_text(text)

    assert recall_quantization(tmp_path) == ""
