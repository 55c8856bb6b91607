"""HTTP: routes, bodies, the map from errors to statuses. Nothing below this package knows FastAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lerenet.api.app import create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    """Imports the application when somebody asks for it: a proxy that only needs the errors loads no torch."""
    if name != "create_app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lerenet.api.app import create_app  # noqa: PLC0415

    return create_app
