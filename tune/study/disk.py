"""Disks that are full or read-only: recognised in any error, and reported as what they are.

A disk fault is never a trial's failure. The search ends, and the trial continues when the study is
resumed.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE})


def disk_fault(error: BaseException | None) -> OSError | None:
    """Find the disk fault in an error or in the errors that caused it; None if there is none."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in FULL | CLOSED:
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def explain(fault: OSError, next_step: str) -> str:
    """Describe a disk fault and what to do about it."""
    full = fault.errno in FULL
    problem = "the disk is full" if full else "the disk or file cannot be written"
    fix = "Free some space" if full else "Make it writable"
    return f"{fault.filename or 'a file'}: {problem} ({fault.strerror}). {fix}, then {next_step}"


@contextmanager
def disk_faults_explained(next_step: str) -> Iterator[None]:
    """Turn any error caused by a disk fault into a ValueError for the user.

    A ValueError passes unchanged. next_step: what to do when the disk can be written again.
    """
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        fault = disk_fault(error)
        if fault is None:
            raise
        raise ValueError(explain(fault, next_step)) from error


def raise_disk_fault(result: Mapping[str, Any] | None) -> None:
    """Raise the OSError that a trial reported under `disk`, if it did."""
    if result and "disk" in result:
        raise OSError(*result["disk"])
