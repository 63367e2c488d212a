"""A small model of random weights of another's kind, to ask what its kind does."""

from copy import deepcopy
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from sleepcycle.model.loading import UNREADABLE
from sleepcycle.model.seeded import seeded

MOST = 200_000_000  # parameters of a model that is made whole
SMALL = 32  # what each width that nothing else hangs on is cut down to


def small_model(config: Any) -> Any:  # noqa: ANN401 - any model and its configuration
    """Return a model of the same kind in float32, on the CPU, that does not train.

    Where the configuration makes no small one it has the size of its own, if that is
    not large. The global generator is left as it was.

    Raises:
        OSError, ValueError, …: One of `UNREADABLE`: it makes no model at all.
    """
    try:
        return _random_model(_shrunk(config))
    except UNREADABLE:
        with torch.device("meta"):
            whole = AutoModelForCausalLM.from_config(deepcopy(config))
        if whole.num_parameters() > MOST:
            raise
        return _random_model(deepcopy(config))


def _random_model(config: Any) -> Any:  # noqa: ANN401
    """Return a model of random weights."""
    with seeded(0):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def _shrunk(config: Any) -> Any:  # noqa: ANN401
    """Return a configuration of the same kind with one layer of each type, all narrow.

    Width and heads stay, since others hang on them.
    """
    small = deepcopy(config)
    text = small.get_text_config()
    types = list(dict.fromkeys(vars(text).get("layer_types") or []))
    text.num_hidden_layers = max(1, len(types))
    if types:
        text.layer_types = types
    for name in (*vars(text), *text.attribute_map):
        if name.endswith("intermediate_size"):
            setattr(text, name, SMALL)
    text.vocab_size = SMALL
    text.pad_token_id = 0
    return small
