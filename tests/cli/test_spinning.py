"""What commands ask of OpenMP before torch is there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lerenet.cli.spinning import SPIN_COUNT, spin_briefly


def test_threads_spin_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "")  # put back afterwards
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    spin_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == str(SPIN_COUNT)


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active")])
def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv(name, value)
    spin_briefly()
    assert os.environ[name] == value
    assert os.environ.get("GOMP_SPINCOUNT", "7") == "7"


def test_the_commands_module_leaves_torch_to_later() -> None:
    body = "import sys, lerenet.cli.serve, lerenet.cli.spinning; sys.exit('torch' in sys.modules)"
    assert not subprocess.run([sys.executable, "-c", body], check=False).returncode
