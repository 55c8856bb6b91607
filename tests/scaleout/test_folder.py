"""The folder job by Ray's workers, against the same job in one process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.plates import form, parts, plate_png
from scaleout.cluster import ENVIRONMENT, Cluster
from scaleout.conftest import Deployed

Segment = Callable[..., subprocess.CompletedProcess[str]]
N_FRAMES = 6
LEFT_OUT = ("request_id",)


@pytest.fixture
def frames(deployed: Deployed, tmp_path: Path) -> Path:
    """A folder of plates, one of them broken, for a class that is registered."""
    httpx.put(f"{deployed.url}/support/bars", **form(*parts()), timeout=60, trust_env=False).raise_for_status()
    folder = tmp_path / "frames"
    folder.mkdir()
    for level in range(N_FRAMES):
        (folder / f"{level}.png").write_bytes(plate_png(195 + level))
    (folder / "broken.png").write_bytes(plate_png()[:50])
    return folder


@pytest.fixture
def segment(cluster: Cluster, deployed: Deployed, frames: Path) -> Segment:
    def run(out: Path, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lerenet", "segment", str(frames), "--class", "bars", "--out", str(out)]
        command += ["--url", deployed.url, *words]
        return subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=False)

    return run


def results(out: Path) -> dict[str, bytes]:
    """Content of every result by name, without request ids and the time; the order in the record does not matter."""
    files = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    files["report.html"] = re.sub(rb"<time .*?</time>", b"", files["report.html"])
    files["record.jsonl"] = b"\n".join(sorted(files["record.jsonl"].splitlines()))
    return {name: _unnamed(data) if name.endswith((".json", ".jsonl")) else data for name, data in files.items()}


def _unnamed(data: bytes) -> bytes:
    def without(value: dict[str, object]) -> dict[str, object]:
        return {key: each for key, each in value.items() if key not in LEFT_OUT}

    lines = data.splitlines() if data[:2] == b'{"' else [data]
    return b"\n".join(json.dumps(json.loads(line, object_hook=without)).encode() for line in lines)


def test_workers_leave_what_one_process_leaves_resumably(
    cluster: Cluster, segment: Segment, frames: Path, tmp_path: Path
) -> None:
    alone, spread = tmp_path / "alone", tmp_path / "spread"

    by_one, by_ray = segment(alone), segment(spread, "--ray", cluster.address)

    assert (by_one.returncode, by_ray.returncode) == (1, 1), by_ray.stderr
    assert "broken.png" in by_ray.stderr
    assert results(spread) == results(alone)
    assert len(list((spread / "masks/bars").iterdir())) == N_FRAMES

    (frames / "late.png").write_bytes(plate_png())
    lines = (spread / "record.jsonl").read_bytes()
    again = segment(spread, "--ray", cluster.address)

    assert again.returncode == 1, again.stderr  # the broken file is not tried again, and still reported
    added = (spread / "record.jsonl").read_bytes().removeprefix(lines)
    assert [json.loads(line)["file"] for line in added.splitlines()] == ["late.png"]
