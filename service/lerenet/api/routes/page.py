"""`/`: the page on which people mark defects and look at masks, and the files it is made of."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.exceptions import HTTPException

from lerenet.api.negotiation import is_known
from lerenet.api.static_files import PAGE_FILE, StaticFile, as_static, static_files

router = APIRouter(include_in_schema=False)

HEADERS = {
    # Nothing from elsewhere and nothing inline: what a file name or a description says is never run. `blob:` are
    # images that the user chose, or that were fetched with a key.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            "connect-src 'self'",
            "base-uri 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    # Asked about each time, answered with 304: modules import each other by plain names, so they change together.
    "Cache-Control": "no-cache",
}

IfNoneMatch = Annotated[str | None, Header()]


@router.get("/")
async def page(request: Request, if_none_match: IfNoneMatch = None) -> Response:
    """The page; addresses in its lines to copy are those the caller used."""
    template = static_files()[PAGE_FILE]
    shown = template.data.decode().replace("{address}", escape(str(request.base_url).rstrip("/")))
    # Behind a prefix the page may be asked for without its last slash, and then relative addresses would miss it.
    prefix = request.scope.get("root_path", "")
    shown = shown.replace("<!-- base -->", f'<base href="{escape(prefix)}/">' if prefix else "")
    return _answer(as_static(shown.encode(), template.media_type), if_none_match)


@router.get("/static/{name}")
async def static_file(name: str, if_none_match: IfNoneMatch = None) -> Response:
    """A module, a style sheet or the icon."""
    file = static_files().get(name)
    if file is None or name == PAGE_FILE:
        raise HTTPException(404)
    return _answer(file, if_none_match)


def _answer(file: StaticFile, if_none_match: str | None) -> Response:
    headers = {**HEADERS, "ETag": f'"{file.tag}"'}
    if is_known(if_none_match, file.tag):
        return Response(status_code=304, headers=headers)
    return Response(file.data, headers=headers, media_type=file.media_type)
