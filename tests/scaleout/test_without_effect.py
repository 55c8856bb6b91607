"""A replica says which settings do nothing on Ray Serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys

PROGRAM = "from lerenet.scaleout.replica import Replica; Replica()"


def test_a_replica_warns_of_settings_that_it_does_not_use() -> None:
    environment = {**os.environ, "LERENET_HTTP_PROCESSES": "4", "LERENET_DRAIN_S": "5"}

    made = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.PIPE, check=True)

    lines = [json.loads(line) for line in made.stderr.splitlines() if line.startswith(b"{")]
    [warned] = [line for line in lines if line["event"] == "setting without effect on Ray Serve, ignored"]
    assert (warned["variable"], warned["level"]) == ("LERENET_HTTP_PROCESSES", "warning")
