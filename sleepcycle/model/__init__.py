"""Base and adapters: load, train, generate, score; only home of transformers, peft."""

import logging

# PEFT imports bitsandbytes wherever it is installed, which then warns on standard error
# that it lacks a package for a speed-up that nothing here uses.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
