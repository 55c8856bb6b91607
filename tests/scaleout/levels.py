"""The service on Ray Serve without a network: each replica finds grey levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes import LevelSegmenter, engine_with
from lerenet.scaleout.application import application_of
from lerenet.scaleout.plan import Plan
from lerenet.settings import Settings, load_settings

if TYPE_CHECKING:
    from ray.serve import Application

    from lerenet.runtime import Engine


def build(settings: Settings) -> Engine:
    return engine_with(LevelSegmenter())(settings)


def application(arguments: dict[str, Any]) -> Application:
    return application_of(Plan(), load_settings(), build)
