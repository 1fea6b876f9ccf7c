"""The story of a study: search, confirm, report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from ganhtr.data.pairs import Pairs
from ganhtr.train.inputs import TrialInputs
from tune.reporting.study_report import finish
from tune.runner.cluster import output_to
from tune.runner.confirmation import Confirmation, candidates
from tune.runner.preparation import Say, begin, open_test_lines
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


@dataclass(frozen=True)
class ConfirmationOptions:
    """How a study is confirmed: seeds of the judgement, candidates, the shuffled control arm."""

    seeds: int
    top: int
    shuffled: bool = False

    @classmethod
    def of(
        cls, request: Request, seeds: int | None, top: int | None, shuffled: bool
    ) -> ConfirmationOptions:
        """The options of the command line, completed by those of the space."""
        verdict = request.space.verdict
        return cls(seeds or verdict.seeds or VerdictSettings.seeds, top or verdict.top, shuffled)

    def __str__(self) -> str:
        return f"--seeds {self.seeds} --top {self.top}" + " --shuffled" * self.shuffled


def run_search(
    folder: StudyFolder, request: Request, pairs: Pairs, address: str | None, stream: TextIO
) -> bool:
    """Run what is left of a study, its confirmation included, and write the report.

    Returns: whether the study is finished; False after an interruption.
    Raises: StudyError if another search has the folder.
    """
    say = _printer(stream)
    with folder.locked():
        Sessions(folder).begin()
        ControlFiles(folder.path).clear()
        inputs, plan = begin(folder, request, pairs, say)
        searcher = open_searcher(folder, request, plan.objective)
        learn_from_earlier_studies(folder, request, searcher, say)
        seconds = seconds_left(folder, request)
        finished = not searcher.remaining or seconds == 0
        seeds = 0 if request.space.experiment else request.space.verdict.seeds
        if not finished or (seeds and not folder.read_json(f"{CONFIRM}/verdict.json")):
            with (
                output_to(folder.log) as terminal,
                workers(request, plan, inputs, address, terminal) as crew,
            ):
                if not finished:
                    finished = crew.run(searcher, request.trials, seconds=seconds)
                if reason := searcher.spent():
                    _printer(terminal)(f"the search ends: {reason}")
                    finished = finished or searcher.out_of_time
                if finished and seeds:
                    options = ConfirmationOptions(seeds, request.space.verdict.top)
                    finished = confirm(folder, request, searcher, inputs, crew, options)
        Sessions(folder).end()
        finish(folder, request, searcher.all_trials(), stream)
        if not finished:
            say(f"stopped. Continue with: {folder.command('search')} --resume")
        return finished


def run_confirmation(
    folder: StudyFolder,
    request: Request,
    pairs: Pairs,
    address: str | None,
    stream: TextIO,
    options: ConfirmationOptions,
) -> bool:
    """Confirm a finished study, or continue a confirmation, and write the report.

    Returns: whether it is finished; False after an interruption.
    Raises: StudyError if the search is not finished, or another one has the folder.
    """
    say = _printer(stream)
    with folder.locked():
        ControlFiles(folder.path).clear()
        searcher = open_searcher(folder, request)
        if searcher.remaining and seconds_left(folder, request) != 0:
            raise StudyError(
                f"{folder.path}: the search is not finished, {searcher.remaining} trials are left. "
                f"First run: {folder.command('search')} --resume"
            )
        inputs, plan = begin(folder, request, pairs, say)
        with (
            output_to(folder.log) as terminal,
            workers(request, plan, inputs, address, terminal) as crew,
        ):
            finished = confirm(folder, request, searcher, inputs, crew, options)
        finish(folder, request, searcher.all_trials(), stream)
        if not finished:
            say(f"stopped. Continue with: {folder.command('confirm')} {options}")
        return finished


def _printer(stream: TextIO) -> Say:
    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    return say


def seconds_left(folder: StudyFolder, request: Request) -> float | None:
    """What is left of the study's time, in seconds; None without a limit."""
    hours = request.space.budget.wall_hours
    return None if hours is None else max(0.0, 3600 * hours - Sessions(folder).spent_seconds())


def open_searcher(
    folder: StudyFolder, request: Request, objective: str | None = None
) -> OptunaSearcher:
    """The study's searcher, with its journal read."""
    objective = objective or folder.read_json("environment.json").get("objective")
    searcher = OptunaSearcher(
        request.bound_space,
        folder.journal,
        request.trials,
        request.seed,
        objective,
        Sessions(folder).spent_seconds(),
    )
    searcher.open()
    return searcher


def learn_from_earlier_studies(
    folder: StudyFolder, request: Request, searcher: OptunaSearcher, say: Say
) -> None:
    """Give the sampler the trials of each `--warm-start` source that it has not read yet."""
    environment = folder.read_json("environment.json")
    for source in request.warm:
        if source in searcher.learned_from:
            continue
        history = read_history(source, request.bound_space, searcher.objectives, environment)
        for line in history.notes:
            say(f"warm start: {line}")
        searcher.learn_from(source, history.trials, history.points)


def confirm(
    folder: StudyFolder,
    request: Request,
    searcher: OptunaSearcher,
    inputs: TrialInputs,
    crew: Workers,
    options: ConfirmationOptions,
) -> bool:
    """Choose a configuration, judge it against OFF on the test lines, and write the verdict.

    Returns: whether it is finished; False after an interruption.
    """
    space, say = request.space, _printer(crew.terminal)
    rows = collect(folder, searcher.all_trials(), space.constraints)
    by_arm = candidates(space, rows, options.top)
    if not all(by_arm.values()):
        say("confirm: nothing to judge, as an arm has no finished trial that keeps the constraints")
        return True
    folder.withdraw_verdict()
    confirmation = Confirmation(folder, space, crew.plan, inputs, request.seed, crew.run, say)
    chosen = confirmation.choose(by_arm)
    if chosen is None:
        return False
    values = confirmation.judge(
        chosen, options.seeds, options.shuffled, lambda: open_test_lines(request)
    )
    if values is None:
        return False
    primary = space.verdict.primary_of(crew.plan.objective)
    verdict = judge(table_of(values), space.verdict, primary)
    confirmation.write("verdict.json", verdict.to_plain())
    return True
