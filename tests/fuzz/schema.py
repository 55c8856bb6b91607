"""schemathesis on a running service.

python tests/fuzz/schema.py --seed 1 --examples 100 [--key KEY --keys-file FILE]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from builders import tiny_network  # noqa: E402
from fuzz.served import MIB, server  # noqa: E402
from lerenet.network import save_weights  # noqa: E402

LEFT_OUT = {
    "positive_data_acceptance": "no schema says that bytes are a sound image, that a mask has its image's size and"
    " marks something, that there are as many masks as images, or that a text is JSON: what fails that is refused",
}
"""Checks that are not made, each with its reason."""


def main() -> int:
    """Runs it; its exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="1")
    parser.add_argument("--examples", default="100", help="of each operation")
    parser.add_argument("--key", help="API key to send")
    parser.add_argument("--keys-file", help="LERENET_API_KEYS_FILE of the server that is started")
    asked = parser.parse_args()
    settings = {"api_keys_file": asked.keys_file} if asked.keys_file else {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "tiny.safetensors"
        save_weights(tiny_network(), weights)
        with server(Path(folder), weights, asked.key, **settings) as (address, process):
            before = process.memory_info().rss
            status = _schemathesis(address, asked, Path(folder))
            print(f"RSS {before / MIB:.0f} -> {process.memory_info().rss / MIB:.0f} MiB")
    for name, reason in LEFT_OUT.items():
        print(f"left out: {name}: {reason}")
    return status


def _schemathesis(address: str, asked: argparse.Namespace, folder: Path) -> int:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--checks", "all"]
    command += ["--seed", asked.seed, "--max-examples", asked.examples, "--no-color", "--continue-on-failure"]
    command += ["--exclude-checks", ",".join(LEFT_OUT)] if LEFT_OUT else []
    command += ["--header", f"Authorization: Bearer {asked.key}"] if asked.key else []
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "SCHEMATHESIS_HOOKS": "fuzz.schema_hooks"}
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
