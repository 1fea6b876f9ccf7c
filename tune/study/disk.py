"""A disk that takes no more: recognised wherever its error surfaces, and told to the user as what it is.

It is never a trial's fault: the search ends, and the trial goes on when the study is resumed.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
CLOSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE})


def disk_fault(error: BaseException | None) -> OSError | None:
    """The disk's own fault in an error, or in one that it was raised from; None where the disk has no part in it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in FULL | CLOSED:
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def told(fault: OSError, go_on: str) -> str:
    """The fault in words, with the way out."""
    rule, cure = (
        ("have free space", "Free some") if fault.errno in FULL else ("be writable", "Make it so")
    )
    return f"{fault.filename or 'a file'}: its disk must {rule}, got: {fault.strerror}. {cure}, then {go_on}"


@contextmanager
def disk_faults_told(go_on: str) -> Iterator[None]:
    """Inside, an error that is the disk's fault, or was raised from one, becomes a ValueError that says so.

    An error that is one for users already stays as it is. go_on: what to do when the disk is well again.
    """
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        fault = disk_fault(error)
        if fault is None:
            raise
        raise ValueError(told(fault, go_on)) from error


def raise_disk_fault(result: Mapping[str, Any] | None) -> None:
    """Raises the disk's fault that a trial's result holds, if it holds one."""
    if result and "disk" in result:
        raise OSError(*result["disk"])
