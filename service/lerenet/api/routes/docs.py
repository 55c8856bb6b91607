"""`/docs`: the OpenAPI document for people, shown by Swagger UI."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html

router = APIRouter(include_in_schema=False)

# Swagger UI comes from where FastAPI takes it, and is started by a script of the document itself.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src https://cdn.jsdelivr.net 'unsafe-inline'",
        "style-src https://cdn.jsdelivr.net 'unsafe-inline'",
        "img-src https://fastapi.tiangolo.com data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The document of this service."""
    app = request.app
    address = f"{request.scope.get('root_path', '')}{app.openapi_url}"
    answer = get_swagger_ui_html(openapi_url=address, title=f"{app.title} - {app.summary}")
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
