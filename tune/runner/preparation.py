"""What a study does before its first trial: data, recognizers, objective, plan."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch

from ganhtr.atomic import to_json, write_atomically
from ganhtr.data.pairs import Pairs
from ganhtr.data.source import load_pairs
from ganhtr.train.evaluate import reference_metrics
from ganhtr.train.fit import Bench
from ganhtr.train.inputs import WEAK_RECOGNIZER, TrialInputs, prepare_inputs
from tune.metric import OBJECTIVES
from tune.runner.trainable import TrialPlan, local_device
from tune.study.folder import StudyError, StudyFolder
from tune.study.request import Request

Say = Callable[[str], None]


def open_data(request: Request, say: Say) -> Pairs:
    """The study's pairs, made or read now where they are not in the cache. Raises: ValueError naming what is wrong with the data."""
    data = request.config().data
    say(f"data: {request.data}, lines of {data.height} x {data.width} px (made on first use)")
    pairs = load_pairs(
        request.data, data, *(Path(p) if p else None for p in (request.charset, request.fonts))
    )
    say(
        f"data: {len(pairs.train)} training and {len(pairs.validation)} search-validation lines, {len(pairs.charset)} characters"
    )
    return pairs


def inputs_of(request: Request, pairs: Pairs, say: Say) -> TrialInputs:
    """The study's pairs with both recognizers, trained now where they are not in the cache."""
    torch.set_num_threads(os.cpu_count() or 1)
    inputs = prepare_inputs(request.config(), pairs, local_device(request.device), say)
    for note in inputs.pairs.notes:
        say(f"note: {note}")
    return inputs


def objective_of(request: Request, inputs: TrialInputs, say: Say) -> str:
    """The space's objective, or PSNR where it rests on text that the recognizers are too weak to judge."""
    objective = request.space.objective
    if not (OBJECTIVES[objective].reads and inputs.weak_recognizer):
        return objective
    say(
        f"note: the recognizers are too weak to judge text (CER on clean lines {inputs.guide.cer:.2f} guide, {inputs.judge.cer:.2f} judge, "
        f"above {WEAK_RECOGNIZER:.2f}): the search maximises PSNR instead of {objective}"
    )
    return "psnr"


def plan_of(request: Request, folder: StudyFolder, objective: str) -> TrialPlan:
    """What the study's trials have in common."""
    stopping = request.space.early_stopping
    return TrialPlan(
        request.config(),
        objective,
        stopping.patience,
        stopping.min_delta,
        folder.path,
        max(1, int(request.cpus_per_trial)),
        request.device,
    )


def write_start(folder: StudyFolder, inputs: TrialInputs, objective: str, device: str) -> None:
    """The files that stand before the first trial: recognizers, reference rows and environment.

    Raises: StudyError when the study was begun with other lines or recognizers: its trials could not be compared.
    """
    pairs, held = inputs.pairs, folder.read_json("environment.json")
    if held:
        began = (
            held["data"]["digest"],
            *(held["recognizers"][role]["digest"] for role in ("guide", "judge")),
        )
        if began != (pairs.digest, inputs.guide.digest, inputs.judge.digest):
            raise StudyError(
                f"{folder.path}: --resume must find the data and the recognizers that the study was begun with, got others "
                f"(data {pairs.digest}, begun with {began[0]}). Put the data back as it was, or start a new study"
            )
    for role, recognizer in (("guide", inputs.guide), ("judge", inputs.judge)):
        if not folder.recognizer(role).exists():  # a study of an older version has none
            recognizer.save(folder.recognizer(role))
    if held:
        return
    bench = Bench.of(inputs, torch.device("cpu"))
    write_atomically(
        folder.path / "references.json",
        to_json(reference_metrics(bench.validation, bench.guide, bench.judge)),
    )
    folder.write_environment(
        {
            "objective": objective,
            "gpu": torch.cuda.get_device_name() if local_device(device).type == "cuda" else None,
            "data": {
                "name": pairs.name,
                "digest": pairs.digest,
                "train": len(pairs.train),
                "validation": len(pairs.validation),
                "charset": pairs.charset.characters,
                "notes": pairs.notes,
            },
            "recognizers": {
                role: {"digest": recognizer.digest, "cer_clean": recognizer.cer}
                for role, recognizer in (("guide", inputs.guide), ("judge", inputs.judge))
            },
        }
    )


def begin(
    folder: StudyFolder, request: Request, pairs: Pairs, say: Say
) -> tuple[TrialInputs, TrialPlan]:
    """What the trials read and what they have in common, with the files that stand before the first of them. Raises: StudyError."""
    inputs = inputs_of(request, pairs, say)
    plan = plan_of(request, folder, objective_of(request, inputs, say))
    write_start(folder, inputs, plan.objective, request.device)
    return inputs, plan
