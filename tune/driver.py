"""Runs a study from its request to its report."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

import torch
from optuna.trial import FrozenTrial

from ganhtr.data.atomic import write_atomically
from ganhtr.data.pairs import Lines, Pairs
from ganhtr.data.source import load_pairs, load_test
from ganhtr.train.evaluate import reference_metrics
from ganhtr.train.fit import Bench
from ganhtr.train.inputs import WEAK_READER, TrialInputs, prepare_inputs
from tune.cluster import noise_to
from tune.confirmation import Confirmation, candidates
from tune.control_files import ControlFiles
from tune.line_table import table_of
from tune.objective import OBJECTIVES
from tune.report_text import Arms, write_report
from tune.searcher import OptunaSearcher
from tune.sessions import Sessions
from tune.space_settings import VerdictSettings
from tune.study import CONFIRM, Request, StudyError, StudyFolder
from tune.trainable import TrialPlan, local_device
from tune.trial_folder import to_json
from tune.trial_table import best_row, collect, write_best, write_csv
from tune.verdict import judge
from tune.warm_start import read_history
from tune.workers import Workers, workers

Say = Callable[[str], None]


def open_data(request: Request, say: Say) -> Pairs:
    """The study's pairs, made or read now where they are not in the cache. Raises: ValueError naming what is wrong with the data."""
    data = request.config().data
    say(f"data: {request.data}, lines of {data.height} x {data.width} px (made on first use)")
    pairs = load_pairs(request.data, data, *(Path(p) if p else None for p in (request.charset, request.fonts)))
    say(f"data: {len(pairs.train)} training and {len(pairs.validation)} search-validation lines, {len(pairs.charset)} characters")
    return pairs


def inputs_of(request: Request, pairs: Pairs, say: Say) -> TrialInputs:
    """The study's pairs with both readers, trained now where they are not in the cache."""
    torch.set_num_threads(os.cpu_count() or 1)
    inputs = prepare_inputs(request.config(), pairs, local_device(request.device), say)
    for note in inputs.pairs.notes:
        say(f"note: {note}")
    return inputs


def objective_of(request: Request, inputs: TrialInputs, say: Say) -> str:
    """The space's objective, or PSNR where it rests on text that the readers are too weak to judge."""
    objective = request.space.objective
    if not (OBJECTIVES[objective].reads and inputs.weak_reader):
        return objective
    say(f"note: the readers are too weak to judge text (CER on clean lines {inputs.guide.cer:.2f} guide, {inputs.judge.cer:.2f} judge, "
        f"above {WEAK_READER:.2f}): the search maximises PSNR instead of {objective}")
    return "psnr"


def plan_of(request: Request, folder: StudyFolder, objective: str) -> TrialPlan:
    """What the study's trials have in common."""
    stopping = request.space.early_stopping
    return TrialPlan(request.config(), objective, stopping.patience, stopping.min_delta, folder.path,
                     max(1, int(request.cpus_per_trial)), request.device)


def write_start(folder: StudyFolder, inputs: TrialInputs, objective: str, device: str) -> None:
    """The files that stand before the first trial: readers, reference rows and environment.

    Raises: StudyError when the study was begun with other lines or readers: its trials could not be compared.
    """
    pairs, held = inputs.pairs, folder.read_json("environment.json")
    if held:
        began = (held["data"]["digest"], *(held["readers"][role]["digest"] for role in ("guide", "judge")))
        if began != (pairs.digest, inputs.guide.digest, inputs.judge.digest):
            raise StudyError(f"{folder.path}: --resume must find the data and the readers that the study was begun with, got others "
                             f"(data {pairs.digest}, begun with {began[0]}). Put the data back as it was, or start a new study")
    for role, reader in (("guide", inputs.guide), ("judge", inputs.judge)):
        if not folder.reader(role).exists():  # a study of an older version has none
            reader.save(folder.reader(role))
    if held:
        return
    bench = Bench.of(inputs, torch.device("cpu"))
    write_atomically(folder.path / "references.json", to_json(reference_metrics(bench.validation, bench.guide, bench.judge)))
    folder.write_environment({
        "objective": objective, "gpu": torch.cuda.get_device_name() if local_device(device).type == "cuda" else None,
        "data": {"name": pairs.name, "digest": pairs.digest, "train": len(pairs.train), "validation": len(pairs.validation),
                 "charset": pairs.charset.characters, "notes": pairs.notes},
        "readers": {role: {"digest": reader.digest, "cer_clean": reader.cer}
                    for role, reader in (("guide", inputs.guide), ("judge", inputs.judge))}})


def begin(folder: StudyFolder, request: Request, pairs: Pairs, say: Say) -> tuple[TrialInputs, TrialPlan]:
    """What the trials read and what they have in common, with the files that stand before the first of them. Raises: StudyError."""
    inputs = inputs_of(request, pairs, say)
    plan = plan_of(request, folder, objective_of(request, inputs, say))
    write_start(folder, inputs, plan.objective, request.device)
    return inputs, plan


def run_search(folder: StudyFolder, request: Request, pairs: Pairs, address: str | None, stream: TextIO) -> bool:
    """Runs what is left of a study, its confirmation too. Returns whether it is finished; False when it was interrupted.

    Raises: StudyError while another search has the folder.
    """
    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    with folder.locked():
        Sessions(folder).begin()
        ControlFiles(folder.path).clear()
        inputs, plan = begin(folder, request, pairs, say)
        searcher = open_searcher(folder, request, plan.objective)
        for source in request.warm:
            if source not in searcher.learned_from:
                history = read_history(source, request.space, searcher.objectives, folder.read_json("environment.json"),
                                       base=request.config().flat())
                for line in history.said:
                    say(f"warm start: {line}")
                searcher.learn_from(source, history)
        left = left_seconds(folder, request)
        finished = not searcher.remaining or left == 0
        seeds = 0 if request.space.experiment else request.space.verdict.seeds
        if not finished or (seeds and not folder.read_json(f"{CONFIRM}/verdict.json")):
            with noise_to(folder.log) as real, workers(request, plan, inputs, address, real) as crew:
                if not finished:
                    finished = crew.run(searcher, request.trials, seconds=left)
                if spent := searcher.spent():
                    print(f"the search ends: {spent}", file=real, flush=True)
                    finished = finished or searcher.out_of_time
                if finished and seeds:
                    finished = confirm(folder, request, searcher, inputs, crew, seeds)
        Sessions(folder).end()
        finish(folder, request, searcher.all_trials(), stream)
        if not finished:
            say(f"stopped. Go on with: {folder.command('search')} --resume")
        return finished


def run_confirmation(folder: StudyFolder, request: Request, pairs: Pairs, address: str | None, stream: TextIO, seeds: int | None,
                     top: int | None, shuffled: bool) -> bool:
    """Confirms a finished study, or goes on with a confirmation. Returns False when it was interrupted.

    Raises: StudyError for a study that is not finished, or while a search has the folder.
    """
    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    with folder.locked():
        ControlFiles(folder.path).clear()
        searcher = open_searcher(folder, request)
        if searcher.remaining and left_seconds(folder, request) != 0:
            raise StudyError(f"{folder.path}: the search must be finished, got {searcher.remaining} trials to run. First run: "
                             f"{folder.command('search')} --resume")
        inputs, plan = begin(folder, request, pairs, say)
        with noise_to(folder.log) as real, workers(request, plan, inputs, address, real) as crew:
            wanted = seeds or request.space.verdict.seeds or VerdictSettings.seeds
            finished = confirm(folder, request, searcher, inputs, crew, wanted, top, shuffled)
        finish(folder, request, searcher.all_trials(), stream)
        if not finished:
            options = f" --seeds {wanted}" + (f" --top {top}" if top else "") + " --shuffled" * shuffled
            say(f"stopped. Go on with: {folder.command('confirm')}{options}")
        return finished


def left_seconds(folder: StudyFolder, request: Request) -> float | None:
    """What is left of the study's time; None without a limit."""
    hours = request.space.budget.wall_hours
    return None if hours is None else max(0.0, 3600 * hours - Sessions(folder).spent_seconds())


def open_searcher(folder: StudyFolder, request: Request, objective: str | None = None) -> OptunaSearcher:
    """The study's searcher, its journal read."""
    objective = objective or folder.read_json("environment.json").get("objective")
    searcher = OptunaSearcher(request.space, folder.journal, request.trials, request.seed, objective, Sessions(folder).spent_seconds(),
                              request.config().flat())
    searcher.open()
    return searcher


def confirm(folder: StudyFolder, request: Request, searcher: OptunaSearcher, inputs: TrialInputs, crew: Workers, seeds: int,
            top: int | None = None, shuffled: bool = False) -> bool:
    """Chooses a configuration, judges it against OFF on the test lines and writes the verdict. Returns False when it was interrupted."""
    def say(line: str) -> None:
        print(line, file=crew.real, flush=True)

    space = request.space
    found = candidates(space, collect(folder, searcher.all_trials(), space.constraints), top or space.verdict.top)
    if not all(found.values()):
        say("confirm: there is nothing to judge, as an arm has no finished trial that keeps the constraints")
        return True
    folder.withdraw_verdict()
    work = Confirmation(folder, space, crew.plan, inputs, request.seed, crew.run, say)
    chosen = work.choose(found)
    if chosen is None:
        return False
    values = work.judge(chosen, seeds, shuffled, lambda: test_lines(request))
    if values is None:
        return False
    work.write("verdict.json", judge(table_of(values), space.verdict).to_plain())
    return True


def test_lines(request: Request) -> Lines:
    """The study's test lines, opened."""
    return load_test(request.data, request.config().data, *(Path(p) if p else None for p in (request.charset, request.fonts)))


def finish(folder: StudyFolder, request: Request, trials: Iterable[tuple[str, FrozenTrial]], stream: TextIO, arms: Arms | None = None,
           images: bool = True) -> None:
    """Writes trials.csv, best/ and report.md (of these arms) from what there is, and prints the table and the paths."""
    rows = collect(folder, trials, request.space.constraints)
    write_csv(folder, rows)
    best = best_row(rows)
    if best is not None:
        write_best(folder, best)
    print(write_report(folder, request, rows, arms, images), file=stream)
    for name in ("report.md", "trials.csv", "best"):
        if (folder.path / name).exists():
            print(f"{folder.path / name}", file=stream)
