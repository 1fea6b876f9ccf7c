"""report.md: the result of a study, its verdict and trials, and the report on two of its arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from optuna.trial import FrozenTrial

from ganhtr.atomic import write_atomically
from tune.arm import OFF, ON
from tune.metric import METRICS, OBJECTIVES
from tune.report_markup import cell, table
from tune.reporting.conclusion import EXPERIMENT, conclusions, headline
from tune.reporting.pair import ArmTrial, Pair, default_pair, named_pair
from tune.reporting.pair_sections import files_section, pair_sections, problem_section
from tune.reporting.paired_difference import best_means
from tune.reporting.problems import Problem, problems
from tune.reporting.sample_strips import sample_section
from tune.reporting.search_section import search_sections
from tune.reporting.setup_section import setup_section
from tune.reporting.trial_section import trial_section
from tune.reporting.verdict_section import verdict_for_terminal, verdict_in_short, verdict_section
from tune.study.folder import StudyFolder
from tune.study.request import Request
from tune.study.trial_table import Row, best_row, collect, write_best, write_csv

Arms = tuple[Sequence[str], Sequence[str]]  # the trials of the first and of the second arm
Sections = Mapping[str, list[str]]  # heading -> lines


def result_table(
    references: Mapping[str, Mapping[str, float]], arms: Mapping[str, Mapping[str, float]]
) -> str:
    """Return the metrics of the degraded lines, Sauvola, the two arms and the clean lines."""
    rows = {
        "degraded": references.get("degraded", {}),
        "Sauvola": references.get("sauvola", {}),
        **arms,
        "clean": references.get("clean", {}),
    }
    cells = [
        [name, *(metric.plain(values.get(metric.key)) for metric in METRICS)]
        for name, values in rows.items()
    ]
    return table(["", *(metric.title for metric in METRICS)], cells)


def arm_rows(pair: Pair | None, rows: list[Row]) -> dict[str, Mapping[str, float]]:
    """Return name -> metrics of the two arms; the best ON trial is called best."""
    best = best_row(rows, ON)
    if pair is None:
        off = best_row(rows, OFF)
        return {
            f"OFF ({off.id})" if off else "OFF": off.metrics if off else {},
            f"best ({best.id})" if best else "best": best.metrics if best else {},
        }
    named: dict[str, Mapping[str, float]] = {}
    for arm, side in zip(pair.arms, pair.compared, strict=True):
        is_best = best is not None and [trial.row.id for trial in arm.trials] == [best.id]
        name = "best" if is_best else arm.name
        trials = side[0].row.id if len(side) == 1 else f"mean of {len(side)}"
        named[name if name == trials else f"{name} ({trials})"] = best_means(side)
    return named


def findings(rows: list[Row], objective: str, judged: bool = False) -> list[str]:
    """Return what the search shows, and what single runs cannot show. judged: with a verdict."""
    lines = []
    off, on, best = best_row(rows, OFF), best_row(rows, ON), best_row(rows)
    if off and on and best and off.value is not None and on.value is not None:
        value = OBJECTIVES[objective].shown
        quality = "better" if on.value > off.value else "not better"
        lines.append(
            f"The best contrastive trial, {on.id}, is {quality} than OFF in {objective}: "
            f"{value(on.value)} against {value(off.value)}. `best/` holds {best.id}."
        )
    limit = (
        "The verdict rests on other runs and on the test lines."
        if judged
        else "It shows where to look, not whether the contrastive loss helps."
    )
    return [
        *lines,
        "Each trial is one run with one seed, and the best trial is chosen on the lines that it is "
        f"scored on. {limit}",
    ]


def write_report(
    folder: StudyFolder,
    request: Request,
    rows: list[Row],
    arms: Arms | None = None,
    images: bool = True,
) -> str:
    """Write report.md and return its main part for the terminal.

    arms: the trials of the two arms to compare; by default OFF and the best contrastive trial.
    Raises: StudyError for arms that the study does not have.
    """
    environment = folder.read_json("environment.json")
    references = folder.read_json("references.json")
    objective = environment.get("objective", request.space.objective)
    pair = named_pair(folder, rows, *arms) if arms else default_pair(folder, rows)
    trials = _shown_trials(folder, rows, pair)
    compared = [trial for side in pair.compared for trial in side] if pair else trials.values()
    met = problems(
        rows, pair, [trial.row for trial in compared], environment, references, objective
    )
    judged = verdict_for_terminal(folder)
    result = result_table(references, arm_rows(pair, rows))
    # With several seeds the arms are compared in full; single runs only show where to look.
    repeated = pair if pair and len(pair.seeds) > 1 else None
    single = findings(rows, objective, bool(judged))
    parts = _head(folder, result, [headline(repeated)] if repeated else single, met)
    parts += _lines(_study_sections(folder, request, rows, objective, bool(judged)), "##")
    setup = setup_section(folder, request, rows, environment, pair)
    samples = sample_section(folder, trials, images)
    if pair is None:
        files = files_section(folder, list(trials))
        title = "No two arms to compare yet"
        sections = {
            "Set-up": setup,
            "Problems met": problem_section(met),
            "Sample images": samples,
            "Files": files,
        }
    else:
        files = files_section(folder, [trial.row.id for arm in pair.arms for trial in arm.trials])
        title = f"{pair.first.name} against {pair.second.name}"
        preset = request.preset if request.space.name == EXPERIMENT else None
        sections = pair_sections(pair, objective, setup, met, samples, preset, files)
    parts += [*_lines({title: []}, "##"), *_lines(sections, "###")]
    write_atomically(folder.path / "report.md", "\n".join(parts).encode())
    lines = [*(conclusions(repeated) if repeated else single), *(problem.text for problem in met)]
    verdict = ["", judged] if judged else []
    return "\n".join([*verdict, "", result, "", *(f"- {line}" for line in lines), ""])


def _shown_trials(folder: StudyFolder, rows: list[Row], pair: Pair | None) -> dict[str, ArmTrial]:
    """Return name -> the trial whose samples are shown: one for each arm."""
    if pair:
        sides = zip(pair.arms, pair.compared, strict=True)
        return {arm.name: side[0] for arm, side in sides if side}
    best = [row for row in (best_row(rows, OFF), best_row(rows, ON)) if row]
    return {row.id: ArmTrial.read(folder, row) for row in best}


def _head(folder: StudyFolder, result: str, lines: list[str], met: list[Problem]) -> list[str]:
    """Return the part above the sections: verdict, result table, findings, problems."""
    titles = "; ".join(problem.title for problem in met)
    return [
        f"# {cell(folder.path.name)}",
        "",
        *(line for sentence in verdict_in_short(folder) for line in (sentence, "")),
        "Search-validation lines, each trial with the weights that it kept.",
        "",
        result,
        "",
        *(f"- {line}" for line in lines),
        *([f"- Problems met, explained below: {titles}."] if met else []),
        "",
    ]


def _study_sections(
    folder: StudyFolder, request: Request, rows: list[Row], objective: str, judged: bool
) -> Sections:
    """Return the sections on the whole study."""
    space = request.space
    objectives = list(dict.fromkeys((objective, *space.objectives[1:])))
    verdict = {"Verdict": verdict_section(folder)} if judged or not space.experiment else {}
    return {
        **verdict,
        "Trials": trial_section(rows, objective, space.constraints),
        **search_sections(folder, space, rows, objectives, request.seed),
    }


def _lines(sections: Sections, marks: str) -> list[str]:
    """Return the sections as lines of the report."""
    parts = []
    for heading, lines in sections.items():
        parts += [f"{marks} {heading}", "", *(["\n".join(lines).strip(), ""] if lines else [])]
    return parts


def finish(
    folder: StudyFolder,
    request: Request,
    trials: Iterable[tuple[str, FrozenTrial]],
    stream: TextIO,
    arms: Arms | None = None,
    images: bool = True,
) -> None:
    """Write trials.csv, best/ and report.md, and print the main part and the paths."""
    rows = collect(folder, trials, request.space.constraints)
    write_csv(folder, rows)
    best = best_row(rows)
    if best is not None:
        write_best(folder, best)
    print(write_report(folder, request, rows, arms, images), file=stream)
    for name in ("report.md", "trials.csv", "best"):
        if (folder.path / name).exists():
            print(f"{folder.path / name}", file=stream)
