"""From the form of a registration to the files of a support set."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from lerenet.api.annotations import MaskFile, annotated_masks
from lerenet.api.forms import Model, ParsedForm, read_form
from lerenet.api.parameters import ShotParameters
from lerenet.errors import InvalidSupport, LimitExceeded
from lerenet.runtime.uploads import MaskSource, SupportFiles
from lerenet.settings import Settings

FILE_FIELDS = ("images", "masks", "normals")


async def read_registration(request: Request, model: type[Model]) -> ParsedForm[Model]:
    """Reads a form with images, masks and normals; raises as `forms.read_form` does."""
    return await read_form(request, FILE_FIELDS, model)


def support_files(form: ParsedForm[ShotParameters], settings: Settings) -> SupportFiles:
    """Images with a source of a mask each, and normals.

    Raises:
        InvalidSupport: Masks and annotations together, or not one per image.
        LimitExceeded: More images than a class may have.
        BodyTooLarge: Annotations over `forms.MAX_JSON_BYTES`.
        UnreadableBody: Annotations that are not JSON.
    """
    images, normals = form.data("images"), form.data("normals")
    for field, n_files, limit in (
        ("images", len(images), settings.max_shots),
        ("normals", len(normals), settings.max_normals),
    ):
        if n_files > limit:
            raise LimitExceeded(f"{n_files} {field}: a class has at most {limit}", pointer=f"/{field}")
    return SupportFiles(images, _mask_sources(form, len(images)), normals, form.parameters.bits)


def require_any(files: SupportFiles) -> SupportFiles:
    """Refuses an addition that adds nothing.

    Raises:
        InvalidSupport: Neither images nor normals.
    """
    if not files.images and not files.normals:
        detail = "nothing to add: send `images` with `masks` (or `annotations`), or `normals`"
        raise InvalidSupport(detail, pointer="/images")
    return files


def _mask_sources(form: ParsedForm[ShotParameters], n_images: int) -> Sequence[MaskSource]:
    masks, annotations = form.data("masks"), form.parameters.annotations
    if annotations is not None:
        if masks:
            raise InvalidSupport("both `masks` and `annotations`: send one of them", pointer="/annotations")
        return annotated_masks(annotations, n_images)
    if len(masks) != n_images:
        detail = f"{n_images} images and {len(masks)} masks: send one mask per image, in the same order"
        raise InvalidSupport(detail, pointer="/masks")
    return [MaskFile(data, f"/masks/{i}") for i, data in enumerate(masks)]
