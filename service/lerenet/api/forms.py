"""Reading bodies: multipart forms whose every part is known, raw bytes, JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_origin

from fastapi import Request
from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from lerenet.api.errors import UnreadableBody, encodable
from lerenet.api.parameters import validated
from lerenet.errors import BodyTooLarge, MalformedRequest
from lerenet.observability import timed_stage

MULTIPART = "multipart/form-data"
MAX_PARTS = 1_000

MAX_JSON_BYTES = 16 << 20
"""Of one JSON text."""

MAX_JSON_VALUES = 1_000_000
"""In one JSON text: as Python objects they take up to 200 bytes each, which no budget counts."""

MAX_TEXT_BYTES = 1 << 20
"""Of a field of a form that is neither a file nor JSON."""

CHARSETS = (b"utf-8", b"utf8", b"us-ascii")
"""In which a form may be written: some others that Python knows take hours to decode."""

Model = TypeVar("Model", bound=BaseModel)
Model_co = TypeVar("Model_co", bound=BaseModel, covariant=True)


@dataclass(frozen=True, eq=False)
class UploadedFile:
    """A file as sent, whole in memory."""

    filename: str | None
    data: bytes


@dataclass(frozen=True, eq=False)
class ParsedForm(Generic[Model_co]):
    """A multipart body.

    Attributes:
        files: By field, in order; every file field has an entry.
        parameters: The other fields.
    """

    files: Mapping[str, Sequence[UploadedFile]]
    parameters: Model_co

    def data(self, field: str) -> list[bytes]:
        """Contents of the files of a field."""
        return [file.data for file in self.files[field]]


def media_type_of(request: Request) -> str:
    """Media type of a request's body, lower case and without parameters; empty when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(request: Request, *media_types: str) -> HTTPException:
    """The refusal of a body's media type, naming those that are taken."""
    sent = media_type_of(request) or "absent"
    return HTTPException(415, f"Content-Type is {sent[:80]}: send {' or '.join(media_types)}")


async def read_form(request: Request, file_fields: Sequence[str], model: type[Model]) -> ParsedForm[Model]:
    """Reads a multipart body.

    Args:
        request: Not read before.
        file_fields: Names that carry files, each any number of times.
        model: What the other fields make; a text may also be sent as a file.

    Raises:
        HTTPException: Another media type.
        UnreadableBody: Broken multipart, another charset than UTF-8, or a very large number of parts.
        BodyTooLarge: A text over `MAX_TEXT_BYTES`, or `MAX_JSON_BYTES` for annotations.
        MalformedRequest: An unknown field, a text where a file belongs, one value given twice.
        RequestValidationError: A value is outside its range or missing.
    """
    if media_type_of(request) != MULTIPART:
        raise unsupported(request, MULTIPART)
    with timed_stage("read"):
        form = await _parsed(request)
        try:
            _refuse_unknown(form, [*file_fields, *model.model_fields])
            files = {field: [await _file(field, part) for part in form.getlist(field)] for field in file_fields}
            values = {field: await _value(field, form, model) for field in model.model_fields if field in form}
        finally:
            await form.close()
    return ParsedForm(files, validated(model, values))


async def read_json(request: Request, model: type[Model]) -> Model:
    """Reads a JSON body.

    Raises:
        HTTPException: Another media type.
        BodyTooLarge: Over `MAX_JSON_BYTES`.
        UnreadableBody: Not JSON, or not an object.
        RequestValidationError: An unknown field, or a value outside its range.
    """
    media_types = ("application/json", "application/merge-patch+json")
    if media_type_of(request) not in media_types:
        raise unsupported(request, *media_types)
    values = parsed_json(await request.body(), "the body")
    if not isinstance(values, dict):
        raise UnreadableBody(f"the body is a JSON {type(values).__name__}: send an object")
    return validated(model, values)


async def read_raw(request: Request) -> bytes:
    """Reads a body as it is."""
    with timed_stage("read"):
        return await request.body()


def parsed_json(text: str | bytes, what: str, *, pointer: str | None = None) -> Any:
    """JSON that a caller sent.

    Raises:
        BodyTooLarge: Over `MAX_JSON_BYTES` or `MAX_JSON_VALUES`.
        UnreadableBody: It cannot be parsed; the detail says where.
    """
    if len(text) > MAX_JSON_BYTES:
        detail = f"{what} as JSON has more than {MAX_JSON_BYTES} bytes: send fewer images, or masks as files"
        raise BodyTooLarge(detail, pointer=pointer)
    if _n_values(text) > MAX_JSON_VALUES:
        detail = f"{what} as JSON holds more than {MAX_JSON_VALUES} values: send fewer images, or masks as files"
        raise BodyTooLarge(detail, pointer=pointer)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as err:
        raise UnreadableBody(f"{what} is not JSON: {err}", pointer=pointer) from err


def _n_values(text: str | bytes) -> int:
    """At most how many values a JSON text holds, without reading it."""
    if isinstance(text, str):
        return sum(map(text.count, (",", "[", "{")))
    return sum(map(text.count, (b",", b"[", b"{")))


async def _parsed(request: Request) -> FormData:
    _, options = parse_options_header(request.headers["content-type"])
    charset = options.get(b"charset", CHARSETS[0]).lower()
    if charset not in CHARSETS:
        raise UnreadableBody(f"the form is written in {charset.decode('latin-1')[:40]}: send UTF-8")
    try:
        return await request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=MAX_JSON_BYTES)
    except (HTTPException, ValueError, KeyError) as err:
        reason = err.detail if isinstance(err, HTTPException) else err
        if "exceeded maximum size" in str(reason):
            raise BodyTooLarge(f"a text field has more than {MAX_JSON_BYTES} bytes: send images as files") from err
        raise UnreadableBody(f"the multipart body cannot be read: {reason}") from err


def _refuse_unknown(form: FormData, known: Sequence[str]) -> None:
    unknown = sorted({field for field, _ in form.multi_items()} - set(known))
    if unknown:
        named = ", ".join(repr(field[:40]) for field in unknown[:8])
        raise MalformedRequest(f"unknown fields {named}: known are {', '.join(known)}", pointer=f"/{unknown[0][:40]}")


async def _file(field: str, part: UploadFile | str) -> UploadedFile:
    if isinstance(part, str):
        detail = f"{field} is a text where a file belongs: with curl, write -F {field}=@FILE"
        raise MalformedRequest(detail, pointer=f"/{field}")
    return UploadedFile(encodable(part.filename or "") or None, await part.read())


async def _value(field: str, form: FormData, model: type[BaseModel]) -> str | list[str]:
    texts = [await _text(field, part) for part in form.getlist(field)]
    if field != "annotations" and sum(map(len, texts)) > MAX_TEXT_BYTES:
        raise BodyTooLarge(f"{field} has more than {MAX_TEXT_BYTES} characters: send less", pointer=f"/{field}")
    if get_origin(model.model_fields[field].annotation) is list:
        return texts
    if len(texts) > 1:
        raise MalformedRequest(f"{field} is given {len(texts)} times: give it once", pointer=f"/{field}")
    return texts[0]


async def _text(field: str, part: UploadFile | str) -> str:
    try:
        if not isinstance(part, str):
            return (await part.read()).decode()
        part.encode()  # a form that declares UTF-7 can hold lone surrogates, which nothing can store or answer
        return part
    except UnicodeError as err:
        raise MalformedRequest(f"{field} is not UTF-8 text", pointer=f"/{field}") from err
