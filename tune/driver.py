"""Runs a study from its request to its report."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from ganhtr.data.pairs import Lines, Pairs
from ganhtr.data.source import load_test
from ganhtr.train.inputs import TrialInputs
from tune.reporting.study_report import finish
from tune.runner.cluster import noise_to
from tune.runner.confirmation import Confirmation, candidates
from tune.runner.preparation import begin
from tune.runner.workers import Workers, workers
from tune.searcher.searcher import OptunaSearcher
from tune.space.settings import VerdictSettings
from tune.study.control_files import ControlFiles
from tune.study.folder import CONFIRM, StudyError, StudyFolder
from tune.study.request import Request
from tune.study.sessions import Sessions
from tune.study.trial_table import collect
from tune.verdict.judge import judge
from tune.verdict.line_table import table_of
from tune.warm_start.history import read_history


def run_search(
    folder: StudyFolder, request: Request, pairs: Pairs, address: str | None, stream: TextIO
) -> bool:
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
                history = read_history(
                    source,
                    request.space,
                    searcher.objectives,
                    folder.read_json("environment.json"),
                    base=request.config().flat(),
                )
                for line in history.said:
                    say(f"warm start: {line}")
                searcher.learn_from(source, history.trials, history.points)
        left = left_seconds(folder, request)
        finished = not searcher.remaining or left == 0
        seeds = 0 if request.space.experiment else request.space.verdict.seeds
        if not finished or (seeds and not folder.read_json(f"{CONFIRM}/verdict.json")):
            with (
                noise_to(folder.log) as real,
                workers(request, plan, inputs, address, real) as crew,
            ):
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


def run_confirmation(
    folder: StudyFolder,
    request: Request,
    pairs: Pairs,
    address: str | None,
    stream: TextIO,
    seeds: int | None,
    top: int | None,
    shuffled: bool,
) -> bool:
    """Confirms a finished study, or goes on with a confirmation. Returns False when it was interrupted.

    Raises: StudyError for a study that is not finished, or while a search has the folder.
    """

    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    with folder.locked():
        ControlFiles(folder.path).clear()
        searcher = open_searcher(folder, request)
        if searcher.remaining and left_seconds(folder, request) != 0:
            raise StudyError(
                f"{folder.path}: the search must be finished, got {searcher.remaining} trials to run. First run: "
                f"{folder.command('search')} --resume"
            )
        inputs, plan = begin(folder, request, pairs, say)
        with noise_to(folder.log) as real, workers(request, plan, inputs, address, real) as crew:
            wanted = seeds or request.space.verdict.seeds or VerdictSettings.seeds
            finished = confirm(folder, request, searcher, inputs, crew, wanted, top, shuffled)
        finish(folder, request, searcher.all_trials(), stream)
        if not finished:
            options = (
                f" --seeds {wanted}" + (f" --top {top}" if top else "") + " --shuffled" * shuffled
            )
            say(f"stopped. Go on with: {folder.command('confirm')}{options}")
        return finished


def left_seconds(folder: StudyFolder, request: Request) -> float | None:
    """What is left of the study's time; None without a limit."""
    hours = request.space.budget.wall_hours
    return None if hours is None else max(0.0, 3600 * hours - Sessions(folder).spent_seconds())


def open_searcher(
    folder: StudyFolder, request: Request, objective: str | None = None
) -> OptunaSearcher:
    """The study's searcher, its journal read."""
    objective = objective or folder.read_json("environment.json").get("objective")
    searcher = OptunaSearcher(
        request.space,
        folder.journal,
        request.trials,
        request.seed,
        objective,
        Sessions(folder).spent_seconds(),
        request.config().flat(),
    )
    searcher.open()
    return searcher


def confirm(
    folder: StudyFolder,
    request: Request,
    searcher: OptunaSearcher,
    inputs: TrialInputs,
    crew: Workers,
    seeds: int,
    top: int | None = None,
    shuffled: bool = False,
) -> bool:
    """Chooses a configuration, judges it against OFF on the test lines and writes the verdict. Returns False when it was interrupted."""

    def say(line: str) -> None:
        print(line, file=crew.real, flush=True)

    space = request.space
    found = candidates(
        space, collect(folder, searcher.all_trials(), space.constraints), top or space.verdict.top
    )
    if not all(found.values()):
        say(
            "confirm: there is nothing to judge, as an arm has no finished trial that keeps the constraints"
        )
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
    return load_test(
        request.data,
        request.config().data,
        *(Path(p) if p else None for p in (request.charset, request.fonts)),
    )
