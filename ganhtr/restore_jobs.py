"""What there is to restore: line images and pages, from files and folders, and the names that their results will have.

A result is named `<stem>.png` after its file. A folder stands for the images, ALTO and PAGE files in it, not in folders below. An image
that belongs to a page is restored with that page and is no line. A file named twice is restored once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganhtr.data.pages.page_image import SUFFIXES
from ganhtr.data.pages.pages import Page, is_page, read_page

IMAGES = (*SUFFIXES, ".gif", ".pbm", ".pgm", ".ppm")
_LISTED = 5  # files that an error names


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
        """The name of the result."""
        return f"{self.source.stem}.png"


@dataclass(frozen=True)
class Jobs:
    """The jobs in order; `faults` are pages that cannot be read, `passed` the XML files of folders that are no pages."""

    jobs: tuple[Job, ...]
    faults: tuple[str, ...]
    passed: tuple[str, ...]


def find_jobs(inputs: Sequence[Path]) -> Jobs:
    """Reads the page files and lists the images.

    Raises: ValueError when an input is not there, when there is nothing to restore, or when two results would have one name.
    """
    absent = [str(path) for path in inputs if not path.exists()]
    if absent:
        raise ValueError(
            f"{', '.join(absent)}: must be an image, an ALTO or PAGE file, or a folder of them, got nothing there. "
            "Check the path"
        )
    found: dict[Path, Job] = {}
    faults, passed, unread = [], [], set()
    for path, named in _files(inputs):
        key = path.resolve()
        if key in found or path.suffix.lower() != ".xml":
            found.setdefault(key, Job(path))
        elif named or is_page(path):
            try:
                found[key] = Job(path, read_page(path))
            except ValueError as fault:
                faults.append(str(fault))
                unread.add(key.with_suffix(""))  # an image of that name is the page's, very likely
        else:
            passed.append(str(path))
    of_pages = {job.image.resolve() for job in found.values() if job.page}
    jobs = tuple(
        job
        for key, job in found.items()
        if job.page or not (key in of_pages or key.with_suffix("") in unread)
    )
    if not jobs and not faults:
        raise ValueError(
            f"{', '.join(map(str, inputs))}: must hold an image ({', '.join(IMAGES)}) or an ALTO or PAGE file, got none. "
            "Check the path"
        )
    _require_own_names(jobs)
    return Jobs(jobs, tuple(faults), tuple(passed))


def _files(inputs: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Every file that may be a job, and whether it was named itself; a folder's own in the order of their names."""
    for path in inputs:
        if not path.is_dir():
            yield path, True
            continue
        for file in sorted(path.iterdir()):
            if (
                file.suffix.lower() in (*IMAGES, ".xml")
                and not file.name.startswith(".")
                and file.is_file()
            ):
                yield file, False


def _require_own_names(jobs: Sequence[Job]) -> None:
    """Raises: ValueError when two results would have one name, or two that some file systems take for one."""
    first: dict[str, Job] = {}
    for job in jobs:
        other = first.setdefault(job.target.casefold(), job)
        if other is not job:
            raise ValueError(
                f"{job.source}: the name of a result must be its own, got {job.target} as for {other.source}. Restore them "
                "into two folders, or rename one"
            )


def require_free(out: Path, jobs: Sequence[Job], others: Sequence[str], force: bool) -> None:
    """Raises: ValueError when a result, or a file of the names in `others`, would overwrite something.

    With `force` it may, but never what is to be restored.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: --out must be a folder, got a file. Choose another")
    names = [*(job.target for job in jobs), *others]
    given = {path.resolve() for job in jobs for path in (job.source, job.image)}
    own = [str(out / name) for name in names if (out / name).resolve() in given]
    if own:
        raise ValueError(
            f"{_listed(own)}: --out must be a folder where no result replaces what is restored. Choose another"
        )
    held = [str(out / name) for name in names if os.path.lexists(out / name)]
    if held and not force:
        raise ValueError(
            f"{_listed(held)}: --out must not hold files of the results' names. Choose another folder, or add --force to "
            "overwrite them"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_LISTED]) + (
        f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    )
