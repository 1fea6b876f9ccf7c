"""The files to restore, line images and pages, and the names of their results.

A result is named `<stem>.png` after its file. A folder stands for the images, ALTO and PAGE files
in it, without its subfolders. The image of a page is restored with the page, not as a line. A file
that is given twice is restored once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganhtr.data.pages.page_image import SUFFIXES
from ganhtr.data.pages.pages import Page, is_page, read_page

IMAGES = (*SUFFIXES, ".gif", ".pbm", ".pgm", ".ppm")
_LISTED = 5  # files that an error message lists


@dataclass(frozen=True)
class Job:
    """A file to restore: a line image, or a page file with its image."""

    source: Path
    page: Page | None = None

    @property
    def image(self) -> Path:
        return self.page.image if self.page else self.source

    @property
    def target(self) -> str:
        """The file name of the result."""
        return f"{self.source.stem}.png"


@dataclass(frozen=True)
class Jobs:
    """The jobs in order, the faults of unreadable pages, and the XML files that are not pages."""

    jobs: tuple[Job, ...]
    faults: tuple[str, ...]
    ignored: tuple[str, ...]


def find_jobs(inputs: Sequence[Path]) -> Jobs:
    """Read the page files and list the images.

    Raises: ValueError if an input does not exist, if there is nothing to restore, or if two results
    would have the same name.
    """
    absent = [str(path) for path in inputs if not path.exists()]
    if absent:
        raise ValueError(
            f"{', '.join(absent)}: no such file or folder. "
            "Give images, ALTO or PAGE files, or folders of them"
        )
    by_path: dict[Path, Job] = {}
    faults, ignored, unreadable = [], [], set()
    for path, named in _files(inputs):
        key = path.resolve()
        if key in by_path or path.suffix.lower() != ".xml":
            by_path.setdefault(key, Job(path))
        elif named or is_page(path):
            try:
                by_path[key] = Job(path, read_page(path))
            except ValueError as fault:
                faults.append(str(fault))
                unreadable.add(key.with_suffix(""))
        else:
            ignored.append(str(path))
    page_images = {job.image.resolve() for job in by_path.values() if job.page}
    # an image with the stem of an unreadable page is most likely the image of that page, not a line
    jobs = tuple(
        job
        for key, job in by_path.items()
        if job.page or not (key in page_images or key.with_suffix("") in unreadable)
    )
    if not jobs and not faults:
        raise ValueError(
            f"{', '.join(map(str, inputs))}: no image ({', '.join(IMAGES)}) and no ALTO or PAGE "
            "file there. Check the path"
        )
    _require_distinct_names(jobs)
    return Jobs(jobs, tuple(faults), tuple(ignored))


def _files(inputs: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield every candidate file and whether it was given by name; folders in order of names."""
    for path in inputs:
        if not path.is_dir():
            yield path, True
            continue
        for file in sorted(path.iterdir()):
            known = file.suffix.lower() in (*IMAGES, ".xml")
            if known and not file.name.startswith(".") and file.is_file():
                yield file, False


def _require_distinct_names(jobs: Sequence[Job]) -> None:
    """Raises: ValueError if two results have the same name; case does not count."""
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.target.casefold(), job)
        if other is not job:
            raise ValueError(
                f"{job.source}: the result would be named {job.target}, like that of "
                f"{other.source}. Restore them into two folders, or rename one"
            )


def require_free(out: Path, jobs: Sequence[Job], others: Sequence[str], force: bool) -> None:
    """Check that the results, and files with the names of `others`, overwrite nothing.

    With `force` they may, but never overwrite an input.
    Raises: ValueError.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out: {out} is a file. Name a folder")
    targets = [out / name for name in (*(job.target for job in jobs), *others)]
    inputs = {path.resolve() for job in jobs for path in (job.source, job.image)}
    overwritten = [str(target) for target in targets if target.resolve() in inputs]
    if overwritten:
        raise ValueError(
            f"--out: the results would overwrite files to restore: {_listed(overwritten)}. "
            "Choose another folder"
        )
    existing = [str(target) for target in targets if os.path.lexists(target)]
    if existing and not force:
        raise ValueError(
            f"--out: {_listed(existing)} would be overwritten. Choose another folder, or add "
            "--force to overwrite them"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
