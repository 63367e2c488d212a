"""What GPUs do at most: operations a second in bfloat16, dense, by their makers."""

import re

import torch

TERA = 1e12
PEAKS = (  # the first whose words stand in the device's own name counts
    ("GB200", 2500),
    ("B200", 2250),
    ("H200", 989),
    ("H100 PCIe", 756),
    ("H100 NVL", 835),
    ("H100", 989),
    ("GH200", 989),
    ("A100", 312),
    ("A800", 312),
    ("L40S", 362),
    ("L40", 181),
    ("L4", 121),
    ("A10G", 70),
    ("A10", 125),
    ("RTX 6000 Ada", 364),
    ("RTX A6000", 155),
    ("RTX 5090", 209),
    ("RTX 4090", 165),
    ("RTX 3090", 71),
    ("MI300X", 1307),
)
"""TFLOP/s with float32 sums and without sparsity, from data sheets. Those of consumer
cards are half of what they do with sums in 16 bits."""

OTHER = r"(?! Laptop| D\b)"  # makes of the same name that are slower


def peak_of(device: torch.device) -> float | None:
    """Return what a device does at most in a second; None where it is not known.

    The figure is bfloat16's whatever the base's type, so that shares can be compared.
    """
    if device.type != "cuda":
        return None
    return peak_by_name(torch.cuda.get_device_name(device))


def peak_by_name(name: str) -> float | None:
    """Return the same by the name that the driver gives."""
    for words, peak in PEAKS:
        if re.search(rf"\b{words}\b{OTHER}", name):
            return peak * TERA
    return None
