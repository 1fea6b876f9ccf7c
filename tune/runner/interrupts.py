"""Signals: what ends a search in good order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Inside, SIGTERM does what Ctrl-C does, also where a script started the search in the background and so had SIGINT ignored.

    Behind it both are as they were: Ray leaves a handler of its own, which swallows the next Ctrl-C.
    """
    held = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, held)
        signal.signal(signal.SIGINT, interrupt)
