"""Folders of real images as a data set: `[pack/]class/{images,masks,normal}` with an optional `index.csv` of groups.

    root/pack/index.csv            id, group[, cls]: images of one group show the same physical view; normals too
    root/pack/class/images/<id>.*  one image
    root/pack/class/masks/<id>.*   its mask, of the same size
    root/pack/class/normal/<id>.*  defect-free images of this class's surface (`normals` is read too)
    root/pack/free/normal/<id>.*   defect-free images for every class of the pack that has none of its own

The root may hold packs, be a pack, or be one class. Nothing is decoded here; pixels are read when a number needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from lerenet.datasets.groups import Groups, read_groups
from lerenet.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
NORMAL_FOLDERS = ("normal", "normals")


def _refuse(fault: str) -> NoReturn:
    raise DatasetError(fault)


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image of a class on disk.

    Attributes:
        id: File name without suffix.
        group: Images of one group show the same physical view; they never stand on both sides of an episode.
        image_path: The image.
        mask_path: Its mask; None for a defect-free image.
    """

    id: str
    group: str
    image_path: Path
    mask_path: Path | None


@dataclass(frozen=True, slots=True)
class DefectClass:
    """The images of one class, sorted by id.

    Attributes:
        name: Path below the root, such as `sd900/scratches`; the folder's own name when the root is the class.
        pairs: Images with masks.
        normals: Defect-free images: the class's own, else those of its pack.
        is_grouped: Whether an `index.csv` gave the groups; without one every image is its own group.
    """

    name: str
    pairs: tuple[LabelledImage, ...]
    normals: tuple[LabelledImage, ...]
    is_grouped: bool

    @property
    def n_groups(self) -> int:
        """Number of independent views among the pairs."""
        return len({pair.group for pair in self.pairs})


def open_folder(
    root: Path, names: Sequence[str] | None = None, on_fault: Callable[[str], None] = _refuse
) -> tuple[DefectClass, ...]:
    """Indexes the classes of a folder.

    Args:
        root: Folder of packs, a pack, or one class.
        names: Classes to open, in the order wanted; all, by name, when None.
        on_fault: Told of each file that does not pair and each image that an index lacks; a file that it lets pass is
            left out.

    Raises:
        DatasetError: No such folder or class; and, unless `on_fault` says otherwise, the first fault.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is no folder; give the folder that holds [pack/]class/images and masks")
    folders = {_name(root, folder): folder for folder in _class_folders(root)}
    if not folders:
        raise DatasetError(f"{root} holds no class; expected [pack/]class/images and [pack/]class/masks below it")
    unknown = [name for name in names or () if name not in folders]
    if unknown:
        raise DatasetError(f"{root} holds no class {unknown[0]!r}; it holds {', '.join(folders)}")
    return tuple(_open_class(name, folders[name], on_fault) for name in names or folders)


def _class_folders(root: Path) -> Iterator[Path]:
    for folder in (root, *_subfolders(root), *(inner for outer in _subfolders(root) for inner in _subfolders(outer))):
        if (folder / "images").is_dir() and (folder / "masks").is_dir():
            yield folder


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _name(root: Path, folder: Path) -> str:
    return root.resolve().name if folder == root else folder.relative_to(root).as_posix()


def _open_class(name: str, folder: Path, on_fault: Callable[[str], None]) -> DefectClass:
    groups = read_groups(folder.resolve())
    pairs = tuple(_pairs(folder, groups, on_fault))
    if not pairs:
        on_fault(f"{folder / 'images'} holds no image; supported are {', '.join(sorted(IMAGE_SUFFIXES))}")
    return DefectClass(name, pairs, tuple(_normals(folder, groups, on_fault)), groups is not None)


def _pairs(folder: Path, groups: Groups | None, on_fault: Callable[[str], None]) -> Iterator[LabelledImage]:
    images, masks = image_files(folder / "images", on_fault), image_files(folder / "masks", on_fault)
    unpaired = sorted(images.keys() ^ masks.keys())
    for place, stem in enumerate(unpaired, start=1):
        lacking = "masks" if stem in images else "images"
        on_fault(
            f"{folder}: {stem!r} has no counterpart in {lacking}/ ({place} of {len(unpaired)} such files); "
            f"add {lacking}/{stem}.png or remove the other file"
        )
    for stem in sorted(images.keys() & masks.keys()):
        try:
            group = groups.of(folder.resolve().name, stem) if groups else images[stem].as_posix()
        except DatasetError as error:
            on_fault(error.detail)
        else:
            yield LabelledImage(stem, group, images[stem], masks[stem])


def _normals(folder: Path, groups: Groups | None, on_fault: Callable[[str], None]) -> Iterator[LabelledImage]:
    """A class without defect-free images of its own takes those that its pack holds for all of its classes."""
    pack = folder.resolve().parent
    shared = [pack, *(sibling for sibling in _subfolders(pack) if not (sibling / "images").is_dir())]
    own = list(_normals_in(folder, groups, on_fault))
    yield from own or (normal for place in shared for normal in _normals_in(place, groups, on_fault))


def _normals_in(folder: Path, groups: Groups | None, on_fault: Callable[[str], None]) -> Iterator[LabelledImage]:
    for place in (folder / name for name in NORMAL_FOLDERS):
        if place.is_dir():
            for stem, path in image_files(place, on_fault).items():
                # Normals need no row in the index: the view of many is unknown.
                known = groups.find(folder.resolve().name, stem) if groups else None
                yield LabelledImage(stem, known or path.as_posix(), path, None)


def image_files(folder: Path, on_fault: Callable[[str], None] = _refuse) -> dict[str, Path]:
    """Image files of a folder by stem, sorted; `on_fault` is told where two share one, and the first is kept."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            on_fault(f"{folder}: {path.name} and {found[path.stem].name} share one id; rename one of them")
        found.setdefault(path.stem, path)
    return found
