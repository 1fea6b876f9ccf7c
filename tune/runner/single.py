"""A single trial in this process, without Ray."""

from __future__ import annotations

import time
from typing import Any, TextIO

from ganhtr.data.pairs import Pairs
from tune.arm import OFF, ON
from tune.metric import OBJECTIVES
from tune.report_markup import clock
from tune.runner.preparation import begin
from tune.runner.trainable import local_trial
from tune.study.control_files import ControlFiles
from tune.study.disk import raise_disk_fault
from tune.study.folder import StudyFolder
from tune.study.request import Request
from tune.study.trial_status import TrialStatus


def run_single(
    folder: StudyFolder, request: Request, pairs: Pairs, stream: TextIO
) -> dict[str, Any]:
    """Train one configuration through the same trainable as a search. Ray is not started.

    Returns: the last result.
    """

    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    control = ControlFiles(folder.path)
    with folder.locked():
        control.clear()
        inputs, plan = begin(folder, request, pairs, say)
        arm = OFF if plan.config.contrastive.formulation == "none" else ON
        config = {"id": "single", "arm": arm, "proposed_by": "user", "values": {}}
        trial = local_trial(config, plan, inputs)
        started, shown = time.monotonic(), OBJECTIVES[plan.objective].shown
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trial.train()
            raise_disk_fault(result)
            if control.end_requested and not result["done"]:
                raise KeyboardInterrupt
            if "value" in result and result["status"] != TrialStatus.FAILED:
                metrics = result["metrics"]
                say(
                    f"epoch {result['epoch']}/{plan.config.train.epochs}: {plan.objective} "
                    f"{shown(result['value'])} (best {shown(result['best_value'])}), "
                    f"PSNR {metrics['psnr']:.2f} dB, SSIM {metrics['ssim']:.3f}, "
                    f"CER {metrics['cer']:.3f}, WER {metrics['wer']:.3f}, "
                    f"{clock(time.monotonic() - started)}"
                )
        say(f"{result['status']}: {result.get('error') or folder.path / 'trials' / 'single'}")
        return result
