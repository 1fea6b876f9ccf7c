"""Preparation of a study: data, recognizers, objective, plan, and the first files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ganhtr.atomic import to_json, write_atomically
from ganhtr.data.pairs import Lines, Pairs
from ganhtr.data.source import load_pairs, load_test
from ganhtr.train.evaluate import reference_metrics
from ganhtr.train.fit import Bench
from ganhtr.train.inputs import WEAK_RECOGNIZER, TrialInputs, prepare_inputs
from tune.metric import OBJECTIVES
from tune.runner.trainable import TrialPlan, local_device
from tune.study.folder import StudyError, StudyFolder
from tune.study.request import Request

Say = Callable[[str], None]


def open_data(request: Request, say: Say) -> Pairs:
    """Load the study's pairs; they are made or read now unless they are cached.

    Raises: ValueError for a fault of the data.
    """
    data = request.config().data
    say(f"data: {request.data}, lines of {data.height} x {data.width} px (made on first use)")
    pairs = load_pairs(request.data, data, *_files(request))
    say(
        f"data: {len(pairs.train)} training and {len(pairs.validation)} search-validation lines, "
        f"{len(pairs.charset)} characters"
    )
    return pairs


def open_test_lines(request: Request) -> Lines:
    """Open the study's test lines."""
    return load_test(request.data, request.config().data, *_files(request))


def _files(request: Request) -> tuple[Path | None, Path | None]:
    """The files of charset and fonts."""
    charset, fonts = request.charset, request.fonts
    return Path(charset) if charset else None, Path(fonts) if fonts else None


def inputs_of(request: Request, pairs: Pairs, say: Say) -> TrialInputs:
    """The study's pairs with both recognizers, which are trained now unless they are cached."""
    torch.set_num_threads(os.cpu_count() or 1)
    inputs = prepare_inputs(request.config(), pairs, local_device(request.device), say)
    for note in inputs.pairs.notes:
        say(f"note: {note}")
    return inputs


def objective_of(request: Request, inputs: TrialInputs, say: Say) -> str:
    """The space's objective, or PSNR if that needs text and the recognizers read too badly."""
    objective = request.space.objective
    if not (OBJECTIVES[objective].uses_recognizer and inputs.weak_recognizer):
        return objective
    say(
        f"note: the recognizers read clean lines too badly to judge text (CER "
        f"{inputs.guide.cer:.2f} guide, {inputs.judge.cer:.2f} judge; the limit is "
        f"{WEAK_RECOGNIZER:.2f}). The search maximises PSNR instead of {objective}"
    )
    return "psnr"


def plan_of(request: Request, folder: StudyFolder, objective: str) -> TrialPlan:
    """What all trials of the study share."""
    stopping = request.space.early_stopping
    return TrialPlan(
        config=request.config(),
        objective=objective,
        patience=stopping.patience,
        min_delta=stopping.min_delta,
        folder=folder.path,
        threads=max(1, int(request.cpus_per_trial)),
        device=request.device,
    )


def write_start(folder: StudyFolder, inputs: TrialInputs, objective: str, device: str) -> None:
    """Write the files that precede the first trial: recognizers, references, environment.

    Raises: StudyError if the study began with other lines or recognizers, since its trials could
    not be compared.
    """
    environment = folder.read_json("environment.json")
    if environment:
        _check_same_inputs(folder, inputs, environment)
    recognizers = {"guide": inputs.guide, "judge": inputs.judge}
    for role, recognizer in recognizers.items():
        if not folder.recognizer(role).exists():
            recognizer.save(folder.recognizer(role))
    if environment:
        return
    bench = Bench.of(inputs, torch.device("cpu"))
    references = reference_metrics(bench.validation, bench.guide, bench.judge)
    write_atomically(folder.path / "references.json", to_json(references))
    pairs, on_cuda = inputs.pairs, local_device(device).type == "cuda"
    folder.write_environment(
        {
            "objective": objective,
            "gpu": torch.cuda.get_device_name() if on_cuda else None,
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
                for role, recognizer in recognizers.items()
            },
        }
    )


def _check_same_inputs(
    folder: StudyFolder, inputs: TrialInputs, environment: Mapping[str, Any]
) -> None:
    data, recognizers = environment["data"]["digest"], environment["recognizers"]
    before = (data, recognizers["guide"]["digest"], recognizers["judge"]["digest"])
    now = (inputs.pairs.digest, inputs.guide.digest, inputs.judge.digest)
    if before != now:
        raise StudyError(
            f"{folder.path}: the data or the recognizers differ from those the study began with "
            f"(data {now[0]}, at the beginning {before[0]}). Restore them, or start a new study"
        )


def begin(
    folder: StudyFolder, request: Request, pairs: Pairs, say: Say
) -> tuple[TrialInputs, TrialPlan]:
    """Prepare inputs and plan of the trials, and write the first files. Raises: StudyError."""
    inputs = inputs_of(request, pairs, say)
    plan = plan_of(request, folder, objective_of(request, inputs, say))
    write_start(folder, inputs, plan.objective, request.device)
    return inputs, plan
