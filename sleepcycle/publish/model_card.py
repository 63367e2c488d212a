"""The README of a published adapter, with the head that the hub reads."""

import json
import re

from sleepcycle.publish.driver import WantedVersion

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

TEXT = """\
---
{head}
---

# {title}

A LoRA that sleepcycle learned: version `{name}`.
Its scale is 1, one rank holds for all layers, and it changes linear layers alone.

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({base})
model = PeftModel.from_pretrained(base, "PATH-OF-THIS-FOLDER")
```
"""


def model_card(wanted: WantedVersion) -> str:
    """Return the card of a version.

    The base is named in the head only where it has an id of the hub: a path of this
    machine means nothing elsewhere.
    """
    on_hub = HUB_ID.fullmatch(wanted.base) is not None
    head = [
        *([f"base_model: {wanted.base}"] if on_hub else []),
        "library_name: peft",
        "pipeline_tag: text-generation",
        f"version: {wanted.name}",
        "tags:",
        "- lora",
        "- sleepcycle",
    ]
    base = json.dumps(wanted.base) if on_hub else '"PATH-OF-THE-BASE"'
    return TEXT.format(
        head="\n".join(head),
        title=f"{wanted.base} {wanted.name}" if on_hub else wanted.name,
        name=wanted.name,
        base=base,
    )
