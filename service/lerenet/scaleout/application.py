"""What `serve run` and `serve deploy` import: `lerenet.scaleout.application:application`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray import serve

from lerenet.runtime.engine import Engine, build_engine
from lerenet.scaleout.plan import DEPLOYMENT, Plan
from lerenet.scaleout.replica import Replica
from lerenet.settings import Settings, load_settings

if TYPE_CHECKING:
    from ray.serve import Application


def application(arguments: dict[str, Any]) -> Application:
    """The service as one deployment. A config file's `deployments` win over what is chosen here.

    Args:
        arguments: None are known; Serve hands over a dictionary all the same.

    Raises:
        ConfigurationError: A setting of the environment cannot work.
    """
    return application_of(Plan(), load_settings())


def application_of(plan: Plan, settings: Settings, build: Callable[[Settings], Engine] = build_engine) -> Application:
    """The service on a plan's replicas.

    Args:
        plan: How many replicas, and what each gets.
        settings: Of the replicas, for the bounds that follow from them.
        build: Makes each replica's engine.
    """
    deployment = serve.deployment(serve.ingress()(Replica), name=DEPLOYMENT, **plan.deployment(settings))
    return deployment.bind(build)
