"""A model of transformers."""

from dataclasses import dataclass
from typing import Any


@dataclass
class HFLM:
    """What it was made of."""

    pretrained: Any
    tokenizer: Any
    max_length: int
    batch_size: int

    @property
    def model(self):
        return self.pretrained
