"""What the OpenAPI document says beyond signatures: bodies that routes read themselves, examples, problems."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from lerenet import errors
from lerenet.api.bodies import Problem, ProblemPart
from lerenet.api.dependencies import MIN_REVISION
from lerenet.api.envelope import REGISTRY_REVISION
from lerenet.api.errors import PROBLEM_TYPE, STATUSES, UnreadableBody, title_of
from lerenet.api.forms import MULTIPART
from lerenet.errors import LERENetError

Document = dict[str, Any]
Responses = dict[int | str, Document]

Errors = tuple[type[LERENetError], ...]
Needs = Mapping[str, Collection[str]]

ALWAYS: Errors = (
    errors.MalformedRequest,
    errors.Loading,
    errors.Draining,
    errors.DeviceFailed,
    errors.RegistryError,
    errors.RegistryUnreachable,
)
"""What any route that touches a class may answer."""

BODIES: Errors = (UnreadableBody, errors.BodyTooLarge)
IMAGES: Errors = (
    errors.UnsupportedImage,
    errors.ImageTooLarge,
    errors.UndecodableImage,
    errors.LimitExceeded,
    errors.QueueFull,
)
WRITES: Errors = (errors.PreconditionFailed, errors.DeadlineExceeded, errors.StorageFull, errors.RegistryReadOnly)

KEYED: Errors = (errors.Unauthorized, errors.Forbidden, errors.RateExceeded)
"""What any route that needs a key may answer."""

SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "As `lerenet keys new` printed it"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key"},
}

REVISION_TEXT = (
    "The registry's revision, a number that grows with every change of a class: what is written stands at it, what is"
    " read shows every change up to it. Refusals from before the registry is asked have none"
)

_REF = "#/components/schemas/{model}"
_FILES = {
    "images": "Images: JPEG, PNG, BMP or single-page TIFF, repeated once per image",
    "masks": "One per image, in the same order: above 127 (or 1 in a mask of 0 and 1) is defect",
    "normals": "Defect-free images, which teach what background looks like",
}

CLASS_EXAMPLE: Document = {
    "name": "scratches",
    "revision": "9f2d04c1a7be3358",
    "created_at": "2026-03-02T08:15:30Z",
    "revised_at": "2026-03-02T08:15:30Z",
    "description": "",
    "shots": [{"index": 0, "height": 200, "width": 200, "area_px": 811}],
    "normals": 0,
    "threshold": 0.5,
    "suggested_threshold": 0.5,
    "min_area_px": 0,
    "min_score": 0.5,
    "suggested_min_score": 0.5,
    "scale": 1.0,
    "quality": None,
}
RESULT_EXAMPLE: Document = {
    "request_id": "line-3/000417",
    "weights": "5d3c1f0a" * 8,
    "metadata": {"station": "press-3", "timestamp": "2026-03-02T08:15:30Z", "exposure_ms": 4.5},
    "results": [
        {
            "index": 0,
            "filename": "plate.png",
            "height": 4,
            "width": 6,
            "classes": [
                {
                    "name": "scratches",
                    "revision": "9f2d04c1a7be3358",
                    "score": 0.91,
                    "threshold": 0.5,
                    "min_score": 0.5,
                    "area_px": 4,
                    "area_fraction": 0.166667,
                    "bbox": [1, 1, 2, 2],
                    "regions": [{"bbox": [1, 1, 2, 2], "area_px": 4, "score": 0.91}],
                    "mask": {"size": [4, 6], "counts": "5220;"},
                }
            ],
        }
    ],
}


def problems(*kinds: type[LERENetError]) -> Responses:
    """Responses of a route for errors it may answer with, one example per code."""
    return _responses((*kinds, *ALWAYS))


def _responses(kinds: Errors) -> Responses:
    responses: Responses = {}
    for kind in kinds:
        status = STATUSES[kind]
        content = responses.setdefault(status, _problem_response())["content"][PROBLEM_TYPE]
        content["examples"][kind.code] = {"summary": title_of(kind), "value": _problem_example(kind, status)}
    for response in responses.values():
        _describe(response)
    return responses


def _describe(response: Document) -> None:
    examples = response["content"][PROBLEM_TYPE]["examples"].values()
    response["description"] = "; ".join(example["summary"] for example in examples)


def form_body(model: type[BaseModel], files: dict[str, bool]) -> Document:
    """A multipart request body.

    Args:
        model: Fields beside files.
        files: File fields, and whether each is required.
    """
    schema = model.model_json_schema(ref_template=_REF)
    uploads = {
        name: {"type": "array", "items": {"type": "string", "format": "binary"}, "description": _FILES[name]}
        for name in files
    }
    required = [*schema.get("required", []), *(name for name, is_required in files.items() if is_required)]
    form = {"type": "object", "additionalProperties": False, "properties": {**uploads, **schema["properties"]}}
    encoding = {"annotations": {"contentType": "application/json"}} if "annotations" in schema["properties"] else {}
    if required:
        form["required"] = required
    return {"schema": form, "encoding": encoding}


def request_body(**content: Document) -> Document:
    """`openapi_extra` of a route that reads its body itself; keys are media types with `_` for `/`."""
    named = {"multipart": MULTIPART, "image": "image/*", "json": "application/json"}
    return {"requestBody": {"required": True, "content": {named[key]: value for key, value in content.items()}}}


def json_body(model: type[BaseModel], example: Document) -> Document:
    """A JSON request body."""
    return {"schema": model.model_json_schema(ref_template=_REF), "example": example}


def json_answer(description: str, example: Document, headers: tuple[str, ...] = ()) -> Document:
    """A successful JSON answer with an example."""
    return {"description": description, "content": {"application/json": {"example": example}}, **_headers(headers)}


def png_answer() -> Document:
    """A PNG body."""
    return {"schema": {"type": "string", "format": "binary"}}


def install_openapi(app: FastAPI, needs: Needs | None) -> None:
    """Makes the document hold the schemas that routes refer to by name, and say who may ask.

    Args:
        app: Whose document it is.
        needs: Scopes by method and path, any one of which will do; None where no keys are asked for.
    """

    def openapi() -> Document:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=app.description,
                routes=app.routes,
                tags=app.openapi_tags,
                servers=app.servers,
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = _without_definitions(Problem)
            schemas["ProblemPart"] = _without_definitions(ProblemPart)
            # ours is the shape of every refusal, also of those the framework makes
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            _date_answers(document)
            if needs is not None:
                _say_who_may(document, needs)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _date_answers(document: Document) -> None:
    """Adds what every answer of a route has that takes `X-Min-Revision`."""
    header = {"description": REVISION_TEXT, "schema": {"type": "integer"}}
    for item in document["paths"].values():
        for operation in item.values():
            if any(each["name"] == MIN_REVISION for each in operation.get("parameters", ())):
                for response in operation["responses"].values():
                    response.setdefault("headers", {})[REGISTRY_REVISION] = header
                _add_examples(operation["responses"]["503"], _responses((errors.RegistryBehind,))[503])


def _say_who_may(document: Document, needs: Needs) -> None:
    document["components"]["securitySchemes"] = SECURITY_SCHEMES
    for path, item in document["paths"].items():
        for method, operation in item.items():
            scopes = sorted(needs.get(f"{method.upper()} {path}", ("admin",)))
            operation["security"] = [{name: scopes} for name in SECURITY_SCHEMES] if scopes else []
            if scopes:
                for status, response in _responses(KEYED).items():
                    _add_examples(operation["responses"].setdefault(str(status), _problem_response()), response)


def _add_examples(response: Document, others: Document) -> None:
    response["content"][PROBLEM_TYPE]["examples"] |= others["content"][PROBLEM_TYPE]["examples"]
    _describe(response)


def _without_definitions(model: type[BaseModel]) -> Document:
    schema = model.model_json_schema(ref_template=_REF)
    schema.pop("$defs", None)
    return schema


def _problem_response() -> Document:
    return {
        "description": "",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}, "examples": {}}},
    }


def _problem_example(kind: type[LERENetError], status: int) -> Document:
    return {
        "type": f"/problems/{kind.code.replace('_', '-')}",
        "title": title_of(kind),
        "status": status,
        "detail": title_of(kind),
        "instance": "urn:request:line-3/000417",
        "code": kind.code,
        "request_id": "line-3/000417",
        "errors": [],
    }


def _headers(names: tuple[str, ...]) -> Document:
    texts = {
        "ETag": 'The revision in quotes, such as `"9f2d04c1a7be3358"`',
        "Location": "Path of the class",
        "X-Classes": "Names of the classes in order; pixel value i is the i-th",
        "X-Revisions": "Their revisions, in the same order",
        "X-Scores": "Their scores, in the same order",
    }
    return {"headers": {name: {"description": texts[name], "schema": {"type": "string"}} for name in names}}
