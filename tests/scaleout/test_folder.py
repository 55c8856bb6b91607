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
SOONER, LATER = range(195, 197), range(197, 202)
LEFT_OUT = ("request_id",)


@pytest.fixture
def frames(deployed: Deployed, tmp_path: Path) -> Path:
    """A folder of a few plates, for a class that is registered."""
    httpx.put(f"{deployed.url}/support/bars", **form(*parts()), timeout=60, trust_env=False).raise_for_status()
    folder = tmp_path / "frames"
    folder.mkdir()
    write_frames(folder, SOONER)
    return folder


def write_frames(folder: Path, levels: range) -> None:
    for level in levels:
        (folder / f"{level}.png").write_bytes(plate_png(level))


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


def test_workers_go_on_where_one_process_stopped_and_leave_what_it_would(
    cluster: Cluster, segment: Segment, frames: Path, tmp_path: Path
) -> None:
    spread, alone = tmp_path / "spread", tmp_path / "alone"
    assert segment(spread).returncode == 0
    done = (spread / "record.jsonl").read_bytes()
    write_frames(frames, LATER)
    (frames / "broken.png").write_bytes(plate_png()[:50])

    by_ray, by_one = segment(spread, "--ray", cluster.address, "--jobs", "4"), segment(alone)

    assert (by_ray.returncode, by_one.returncode) == (1, 1), by_ray.stderr
    assert "broken.png" in by_ray.stderr
    assert "INFO" not in by_ray.stderr  # Ray has nothing to say
    added = (spread / "record.jsonl").read_bytes().removeprefix(done)
    names = ["broken.png", *(f"{level}.png" for level in LATER)]
    assert sorted(json.loads(line)["file"] for line in added.splitlines()) == sorted(names)
    assert results(spread) == results(alone)
    assert len(list((spread / "masks/bars").iterdir())) == len(SOONER) + len(LATER)
