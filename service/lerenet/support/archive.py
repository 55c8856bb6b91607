"""Classes in one file: a tar of manifests and blobs, named as in the data folder, checked on the way in and out.

```
revisions/<name>/<revision>.json   the manifest of each class, as it was current
blobs/ab/<sha256>                  every image and mask it needs
```
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerenet.errors import LERENetError, RegistryError
from lerenet.files import replacing
from lerenet.imaging import ImageLimits, decode_image, decode_mask
from lerenet.support.manifests import from_document, to_document
from lerenet.support.records import SupportClass, is_name
from lerenet.support.uploads import mask_pixels_sha256

FORMAT = 1
MAX_MANIFEST_BYTES = 1 << 22
MAX_BLOB_BYTES = 1 << 30

_LIMITS = ImageLimits(max_pixels=1 << 30, max_side_px=1 << 20)


@dataclass(frozen=True, eq=False)
class ArchivedClass:
    """A class as it lies in an archive, whole.

    Attributes:
        record: The revision.
        blobs: Its images and masks, by hex sha256.
    """

    record: SupportClass
    blobs: Mapping[str, bytes]


def write_archive(path: Path, classes: Iterable[ArchivedClass]) -> int:
    """Write classes to a tar file, which appears whole or not at all; equal classes make equal bytes.

    Returns:
        Number of classes.

    Raises:
        RegistryError: The file cannot be written.
    """
    written: set[str] = set()
    n_classes = 0
    try:
        with replacing(path) as file, tarfile.open(fileobj=file, mode="w") as tar:
            for each in classes:
                n_classes += 1
                record = each.record
                content = {"format": FORMAT, "class": to_document(record)}
                _add(tar, _manifest_name(record.name, record.revision), json.dumps(content, indent=1).encode())
                for sha256 in sorted(each.blobs.keys() - written):
                    _add(tar, _blob_name(sha256), each.blobs[sha256])
                    written.add(sha256)
    except OSError as err:
        raise RegistryError(f"{path} cannot be written: {err.strerror or err}.") from err
    return n_classes


def read_archive(path: Path) -> Iterator[ArchivedClass]:
    """The classes of an archive, one after the other, every file checked against its hash and decoded once.

    Raises:
        RegistryError: Not an archive of classes, or something in it is missing, damaged or not what it says.
    """
    with _faults_of(path), tarfile.open(path, "r:") as tar:
        members = {member.name: member for member in tar.getmembers() if member.isreg()}
        manifests = sorted(name for name in members if name.startswith("revisions/"))
        if not manifests:
            raise RegistryError(f"{path} holds no class. Make one with `lerenet registry export`.")
        for name in manifests:
            record = _record(path, name, _content(tar, members[name], MAX_MANIFEST_BYTES))
            blobs = {sha256: _blob(path, tar, members, sha256) for sha256 in sorted(record.blobs)}
            _check_images(path, record, blobs)
            yield ArchivedClass(record, blobs)


def _record(path: Path, name: str, data: bytes) -> SupportClass:
    content: dict[str, Any] = json.loads(data)
    if content["format"] != FORMAT:
        raise RegistryError(f"{path}: format {content['format']!r} of {name} is not read by this version. Upgrade.")
    record = from_document(content["class"])
    if not is_name(record.name) or _manifest_name(record.name, record.revision) != name:
        raise RegistryError(f"{path}: {name} holds another class than it says.")
    return record


def _blob(path: Path, tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], sha256: str) -> bytes:
    member = members.get(_blob_name(sha256))
    if member is None:
        raise RegistryError(f"{path}: file {sha256} is missing. Export the class again.")
    data = _content(tar, member, MAX_BLOB_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise RegistryError(f"{path}: file {sha256} is damaged. Export the class again.")
    return data


def _check_images(path: Path, record: SupportClass, blobs: Mapping[str, bytes]) -> None:
    """What would be refused in a registration is refused here too."""
    for shot in record.shots:
        image = decode_image(blobs[shot.image_sha256], _LIMITS, bits=shot.bits)
        mask = decode_mask(blobs[shot.mask_sha256], _LIMITS)
        is_as_recorded = mask_pixels_sha256(mask) == shot.pixels_sha256 and image.shape[:2] == mask.shape
        if not is_as_recorded or mask.shape != (shot.height, shot.width):
            raise RegistryError(f"{path}: shot {shot.index} of {record.name} is not what its manifest says.")
    for normal in record.normals:
        decode_image(blobs[normal.image_sha256], _LIMITS, bits=normal.bits)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, max_bytes: int) -> bytes:
    if member.size > max_bytes:
        raise RegistryError(f"{member.name} has {member.size} bytes; at most {max_bytes} are read.")
    file = tar.extractfile(member)
    assert file is not None  # regular files alone are asked for
    return file.read()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))


def _manifest_name(name: str, revision: str) -> str:
    return f"revisions/{name}/{revision}.json"


def _blob_name(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except RegistryError:
        raise
    except (OSError, tarfile.TarError) as err:
        raise RegistryError(f"{path} is no readable archive: {err}.") from err
    except (ValueError, LookupError, TypeError, LERENetError) as err:
        raise RegistryError(f"{path} holds what no class is made of: {err}") from err
