from __future__ import annotations

import pytest
import torch

from lerenet.errors import ConfigurationError, DeviceFailed
from lerenet.inference.device import choose_device, free_memory, is_device_lost, is_out_of_memory


def test_automatic_device_exists() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_device_is_taken_by_name() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "abacus", "", "meta"])
def test_device_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="auto"):
        choose_device(name)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
)
def test_shortage_of_memory_is_no_lost_device(error: BaseException) -> None:
    assert is_out_of_memory(error)
    assert not is_device_lost(error)


@pytest.mark.parametrize(
    "error",
    [
        DeviceFailed("gone"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
    ],
)
def test_lost_device_is_told_from_shortage_of_memory(error: BaseException) -> None:
    assert is_device_lost(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("CUDA error in a caller's text"), RuntimeError("shapes differ")])
def test_common_error_is_neither(error: BaseException) -> None:
    assert not is_device_lost(error)
    assert not is_out_of_memory(error)


def test_freeing_memory_works_without_a_gpu() -> None:
    free_memory()
