"""A single trial, without Ray: how it ends before its last epoch."""

import errno
import io

import pytest

from tune.runner.single import run_single
from tune.study.control_files import ControlFiles
from tune.study.trial_folder import TrialFolder


def test_a_full_disk_ends_it_with_what_to_do(study, inputs, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "metrics.json")

    folder, asked = study(epochs=3)
    monkeypatch.setattr(TrialFolder, "write_epoch", full)
    with pytest.raises(ValueError, match="metrics.json: the disk is full"):
        run_single(folder, asked, inputs.pairs, io.StringIO())


def test_it_ends_when_it_is_asked_to_and_goes_on_later(study, inputs):
    class Asking(io.StringIO):
        """Asks for the end when the first epoch is printed.

        A request before the start does not count.
        """

        def write(self, text):
            if text.startswith("epoch 1/3"):
                ControlFiles(folder.path).request_end()
            return super().write(text)

    folder, asked = study(epochs=3)
    ControlFiles(folder.path).request_end()
    output = Asking()
    with pytest.raises(KeyboardInterrupt):
        run_single(folder, asked, inputs.pairs, output)
    assert "epoch 1/3" in output.getvalue() and "epoch 3/3" not in output.getvalue()
    output = io.StringIO()
    assert run_single(folder, asked, inputs.pairs, output)["status"] == "complete"
    assert "epoch 1/3" not in output.getvalue() and "epoch 3/3" in output.getvalue()
