"""How many replicas, what each gets, and the Serve config file that says so. Knows Ray's words, imports none of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lerenet.api.connection import KEEP_ALIVE_S
from lerenet.settings import Settings

APPLICATION = "lerenet"
DEPLOYMENT = "service"
IMPORT_PATH = "lerenet.scaleout.application:application"
PROXY_LAYERS = "lerenet.scaleout.proxy:layers"

REPLICA_HEADER = "X-Replica"
"""On every answer that a replica made: which one. What has none are the proxy's own words."""

HEALTH_PERIOD_S = 2.0
"""Between two looks at a replica, in seconds; Serve gives it up at the third that fails."""

RETRY_AFTER_S = 2.0
"""What a proxy asks whom it turns away to wait, in seconds: it knows nothing of the devices' lines."""

END_S = 5.0
"""After the time to drain, for device and registry to be closed, in seconds."""

WITHOUT_EFFECT: Mapping[str, str] = {
    "http_processes": "Serve's proxies speak HTTP, one on each node",
    "drain_delay_s": "Serve sends nobody to a replica that is about to end",
}
"""Settings that replicas do not use, and why they need not."""


def without_effect(settings: Settings) -> list[str]:
    """Of what an operator has changed, the fields that replicas do not use."""
    return [name for name in WITHOUT_EFFECT if getattr(settings, name) != Settings.model_fields[name].default]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an operator decides about the replicas.

    Attributes:
        min_replicas: Always there.
        max_replicas: At the most.
        gpus: Of each replica; a fraction shares a GPU.
        cpus: Of each replica.
        surge_percent: Replicas above their number while all are replaced, in percent; 0 stops each before the next.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    gpus: float = 0.0
    cpus: float = 1.0
    surge_percent: int = 0

    def deployment(self, settings: Settings) -> dict[str, Any]:
        """Options of the deployment.

        The replica sees its device's line and refuses with a forecast; Serve does not, so its own bounds lie outside.
        """
        return {
            "autoscaling_config": {
                "min_replicas": self.min_replicas,
                "max_replicas": self.max_replicas,
                "target_ongoing_requests": settings.max_batch_images,
            },
            "max_ongoing_requests": settings.max_queue_images,
            "max_queued_requests": 2 * settings.max_batch_images,
            "backpressure_config": {"status_code": 503, "retry_after_s": RETRY_AFTER_S},
            "health_check_period_s": HEALTH_PERIOD_S,
            "graceful_shutdown_wait_loop_s": 0.5,
            "graceful_shutdown_timeout_s": settings.drain_s + END_S,
            "max_surge_percent": self.surge_percent,
            "ray_actor_options": {"num_cpus": self.cpus, "num_gpus": self.gpus},
        }


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """A Serve config file.

    Attributes:
        plan: Of the replicas.
        environment: Variables of each replica; `${NAME}` is what its node has under that name.
        host: Address that the proxies listen on.
        port: Theirs.
    """

    plan: Plan
    environment: Mapping[str, str] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 8000

    def document(self, settings: Settings) -> dict[str, Any]:
        """The file's content, as `ray.serve.schema.ServeDeploySchema` has it."""
        return {
            "proxy_location": "EveryNode",
            "http_options": {
                "host": self.host,
                "port": self.port,
                "keep_alive_timeout_s": KEEP_ALIVE_S,
                "request_timeout_s": settings.registration_deadline_s + settings.deadline_s,
            },
            "controller_options": {
                "runtime_env": {"env_vars": {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": PROXY_LAYERS}}
            },
            "logging_config": {"encoding": "JSON", "enable_access_log": False},
            "applications": [
                {
                    "name": APPLICATION,
                    "route_prefix": "/",
                    "import_path": IMPORT_PATH,
                    "runtime_env": {"env_vars": dict(self.environment)},
                    "deployments": [{"name": DEPLOYMENT, **self.plan.deployment(settings)}],
                }
            ],
        }
