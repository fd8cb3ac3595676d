"""Devices and precisions by name."""

import torch

from kanpde.errors import InputError, suggest


def choose_device(device: str | torch.device) -> torch.device:
    """Return the device of a name; "auto" is CUDA if it is available, else the CPU."""
    device = str(device)
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda") and not device.startswith("cuda:"):
        raise InputError(f'Unknown device "{device}". {suggest(device, ("auto", "cpu", "cuda"))}')
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(
            f'The device is "{device}", but PyTorch finds no CUDA device.',
            write={"device": "cpu"},
            instead={"device": "auto"},
        )
    return torch.device(device)


def choose_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """Return the precision of a name: float64 or float32."""
    known = {"float64": torch.float64, "float32": torch.float32}
    if isinstance(dtype, str):
        if dtype not in known:
            raise InputError(f'Unknown dtype "{dtype}". {suggest(dtype, known)}')
        return known[dtype]
    if dtype not in known.values():
        raise InputError(f"dtype must be float64 or float32, got {dtype!r}.", write={"dtype": "float64"})
    return dtype
