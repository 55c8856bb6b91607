"""HTTP: routes, bodies, the map from errors to statuses. Nothing below this package knows FastAPI."""

from lerenet.api.app import create_app

__all__ = ["create_app"]
