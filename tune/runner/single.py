"""A single trial in this process, without Ray."""

from __future__ import annotations

import time
from typing import Any, TextIO

from ganhtr.data.pairs import Pairs
from tune.metric import OBJECTIVES
from tune.report_markup import clock
from tune.runner.preparation import begin
from tune.runner.trainable import local_trial
from tune.study.control_files import ControlFiles
from tune.study.disk import raise_disk_fault
from tune.study.folder import StudyFolder
from tune.study.request import Request


def run_single(
    folder: StudyFolder, request: Request, pairs: Pairs, stream: TextIO
) -> dict[str, Any]:
    """Trains one configuration in this process, through the same trainable, with no Ray started. Returns the last result."""

    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    control = ControlFiles(folder.path)
    with folder.locked():
        control.clear()
        inputs, plan = begin(folder, request, pairs, say)
        arm = "off" if plan.config.contrastive.formulation == "none" else "on"
        trial = local_trial(
            {"id": "single", "arm": arm, "proposed_by": "user", "values": {}}, plan, inputs
        )
        started, shown = time.monotonic(), OBJECTIVES[plan.objective].shown
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trial.train()
            raise_disk_fault(result)
            if control.end_asked and not result["done"]:
                raise KeyboardInterrupt
            if "value" in result and result["status"] != "failed":
                m = result["metrics"]
                say(
                    f"epoch {result['epoch']}/{plan.config.train.epochs}: {plan.objective} {shown(result['value'])} (best "
                    f"{shown(result['best_value'])}), PSNR {m['psnr']:.2f} dB, SSIM {m['ssim']:.3f}, CER {m['cer']:.3f}, "
                    f"WER {m['wer']:.3f}, {clock(time.monotonic() - started)}"
                )
        say(f"{result['status']}: {result.get('error') or folder.path / 'trials' / 'single'}")
        return result
