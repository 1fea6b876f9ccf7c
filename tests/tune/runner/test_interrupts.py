"""Signals of a search."""

import os
import signal
import time

import pytest

from tune.runner.interrupts import sigterm_as_interrupt


@pytest.mark.parametrize(
    "before",
    [signal.default_int_handler, signal.SIG_IGN],
    ids=["foreground", "background of a script"],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_signals_interrupt_and_what_was_set_comes_back(before, number):
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    try:
        signal.signal(signal.SIGINT, before)
        with pytest.raises(KeyboardInterrupt), sigterm_as_interrupt():
            os.kill(os.getpid(), number)
            time.sleep(1)
        assert (
            signal.getsignal(signal.SIGINT) is before
            and signal.getsignal(signal.SIGTERM) is handlers[1]
        )
    finally:
        signal.signal(signal.SIGINT, handlers[0])
