"""A process that holds a small Ray cluster and deploys what it reads, a JSON document a line; says so a line each.

Apart from the tests' own process, whose every warning is an error, and which would be slow to collect with Ray in it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve._private.api import serve_start
from ray.serve.schema import ServeDeploySchema

from scaleout.cluster import node_of

WITHIN_S = 300.0


def main() -> None:
    spared = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}  # a process each
    cluster = Cluster(initialize_head=True, head_node_args=node_of(num_cpus=4) | spared)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    say(address=cluster.address)
    try:
        for line in sys.stdin:
            try:
                deploy(json.loads(line))
            except Exception as error:
                say(error=f"{type(error).__name__}: {error}")
            else:
                say(running=True)
    finally:
        ray.shutdown()
        cluster.shutdown()


def say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


def deploy(document: Mapping[str, Any]) -> None:
    """Does what `serve run FILE` does with the file's content, and waits until all of it runs."""
    schema = ServeDeploySchema.model_validate(document)
    client = serve_start(
        http_options=schema.http_options.model_dump(),
        proxy_location=schema.proxy_location,
        controller_options=schema.controller_options,
        global_logging_config=schema.logging_config,
    )
    client.deploy_apps(schema, _blocking=False)
    until = time.monotonic() + WITHIN_S
    while (states := {app.status.value for app in serve.status().applications.values()}) != {"RUNNING"}:
        if time.monotonic() > until or states & {"DEPLOY_FAILED", "UNHEALTHY"}:
            raise TimeoutError(f"not running: {serve.status()}")
        time.sleep(0.3)


if __name__ == "__main__":
    main()
