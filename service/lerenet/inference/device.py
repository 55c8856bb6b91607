"""The device: which one, and what its errors mean."""

from __future__ import annotations

import gc

import torch

from lerenet.errors import ConfigurationError, DeviceFailed

OUT_OF_MEMORY_WORDS = ("not enough memory", "can't allocate memory", "STATUS_ALLOC_FAILED")
LOST_DEVICE_WORDS = ("CUDA error", "device-side assert")


def choose_device(name: str) -> torch.device:
    """The device called `auto` (CUDA when there is one, else the CPU), `cpu`, `cuda` or `cuda:<index>`.

    Raises:
        ConfigurationError: No such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as err:
        raise ConfigurationError(f"device={name}: use auto, cpu, cuda or cuda:<index>") from err
    if device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"device={name}: use auto, cpu, cuda or cuda:<index>")
    n_cuda = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= n_cuda:
        raise ConfigurationError(f"device={name}: {n_cuda} CUDA devices are visible here; use auto or cpu")
    return device


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the work was too large for the memory that is free, on the device or the host."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _says(error, OUT_OF_MEMORY_WORDS)


def is_device_lost(error: BaseException) -> bool:
    """Whether this process cannot use the device again."""
    if is_out_of_memory(error):
        return False
    return isinstance(error, DeviceFailed | torch.AcceleratorError) or _says(error, LOST_DEVICE_WORDS)


def free_memory() -> None:
    """Gives cached memory back to the device, after it ran out."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
