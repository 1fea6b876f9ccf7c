"""report.md: the result of a study in a table, its trials, and the report of two of its arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TextIO

from optuna.trial import FrozenTrial

from ganhtr.atomic import write_atomically
from tune.metric import OBJECTIVES
from tune.report_markup import cell, listed, short, shown, table
from tune.reporting.conclusion import EXPERIMENT, headline, verdicts
from tune.reporting.pair import ArmTrial, Pair, default_pair, named_pair
from tune.reporting.pair_sections import (
    files_section,
    pair_sections,
    problem_section,
    sample_section,
)
from tune.reporting.paired_difference import best_means
from tune.reporting.problems import problems
from tune.reporting.search_section import search_sections
from tune.reporting.setup_section import setup_section
from tune.reporting.verdict_section import verdict_for_terminal, verdict_in_short, verdict_section
from tune.space.constraint import Constraint
from tune.study.folder import StudyFolder
from tune.study.request import Request
from tune.study.trial_table import Row, best_row, collect, write_best, write_csv

COLUMNS = {
    "psnr": ("PSNR dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.4f}"),
    "cer": ("CER", "{:.3f}"),
    "wer": ("WER", "{:.3f}"),
    "judge_cer": ("CER judge", "{:.3f}"),
    "judge_wer": ("WER judge", "{:.3f}"),
}
SHOWN = 50  # trials in the report; all are in trials.csv
STATUSES = {
    "pruned": "was given up by the pruner and cannot win, its figures are the best it reached",
    "halted": "was stopped by a person and cannot win",
    "waiting": "goes on when the search is resumed",
}
Arms = tuple[Sequence[str], Sequence[str]]  # the trials of the first and of the second arm


def result_table(
    references: Mapping[str, Mapping[str, float]], arms: Mapping[str, Mapping[str, float]]
) -> str:
    """The rows degraded, Sauvola, the two arms, clean."""
    rows = {
        "degraded": references.get("degraded", {}),
        "Sauvola": references.get("sauvola", {}),
        **arms,
        "clean": references.get("clean", {}),
    }
    return table(
        ["", *(title for title, _ in COLUMNS.values())],
        [
            [name, *(shown(held.get(key), form) for key, (_, form) in COLUMNS.items())]
            for name, held in rows.items()
        ],
    )


def arm_rows(pair: Pair | None, rows: list[Row]) -> dict[str, Mapping[str, float]]:
    """The two rows of the result table: the arms by name; the best ON trial is called so."""
    best = best_row(rows, "on")
    if pair is None:
        off = best_row(rows, "off")
        return {
            f"OFF ({off.id})" if off else "OFF": off.metrics if off else {},
            f"best ({best.id})" if best else "best": best.metrics if best else {},
        }
    named: dict[str, Mapping[str, float]] = {}
    for arm, side in zip(pair.arms, pair.compared, strict=True):
        ids = side[0].row.id if len(side) == 1 else f"mean of {len(side)}"
        name = "best" if best and [best.id] == [trial.row.id for trial in arm.trials] else arm.name
        named[name if name == ids else f"{name} ({ids})"] = best_means(side)
    return named


def findings(rows: list[Row], objective: str, judged: bool = False) -> list[str]:
    """What a search found, and what single runs cannot say; `judged` where there is a verdict, which rests on other runs."""
    said = []
    off, on, best = best_row(rows, "off"), best_row(rows, "on"), best_row(rows)
    if off and on and best and off.value is not None and on.value is not None:
        say = OBJECTIVES[objective].shown
        said.append(
            f"The best contrastive trial, {on.id}, is {'better' if on.value > off.value else 'no better'} than OFF in {objective}: "
            f"{say(on.value)} against {say(off.value)}. `best/` holds {best.id}."
        )
    if judged:
        return [
            *said,
            "These are single runs of the search, the best of several picked on the lines it is scored on. The verdict rests on "
            "other runs and on the test lines.",
        ]
    return [
        *said,
        "Each trial is one run with one seed, and the best of several is picked on the lines it is scored on. A single best "
        "trial says where to look, not whether contrast helps.",
    ]


def in_order(rows: list[Row]) -> list[Row]:
    """Those that can win, the best first; then finished ones that break a constraint, then those that were given up, then all others."""

    def rank(row: Row) -> tuple[int, float]:
        value = float("-inf") if row.value is None else row.value
        if row.finished and row.value is not None:
            return (0 if row.feasible else 1), -value
        return (2, -value) if row.status in ("pruned", "halted") else (3, 0.0)

    return sorted(rows, key=rank)


def trial_rows(rows: list[Row], say: Callable[[float], str]) -> list[list[str]]:
    """A row of cells for each trial."""
    return [
        [
            row.id,
            row.proposed_by,
            row.status if row.feasible else f"{row.status}, breaks a constraint",
            say(row.value) if row.value is not None else "-",
            f"{row.best_epoch or '-'}",
            *(shown(row.metrics.get(key), "{:.3f}") for key in ("psnr", "cer", "judge_cer")),
            *(
                shown(row.last_metrics.get(key), "{:.2f}")
                for key in ("retrieval_top1", "length_top1", "contrastive_ratio")
            ),
            cell(short(row.values)),
        ]
        for row in rows
    ]


def trial_section(
    rows: list[Row], objective: str, constraints: Sequence[Constraint] = ()
) -> list[str]:
    """The section "Trials": all of them, or the best fifty with the best of OFF."""
    held = in_order(rows)[:SHOWN]
    off = best_row(rows, "off")
    held += [off] if off and off not in held else []
    counts: Counter[str] = Counter(row.status for row in rows)
    more = (
        [
            f"{len(held)} of {len(rows):,} trials are shown, the best first; `trials.csv` has all "
            f"({', '.join(f'{count:,} {status}' for status, count in counts.most_common())}).",
            "",
        ]
        if len(held) < len(rows)
        else []
    )
    words = "; ".join(
        f"one that is *{status}* {text}" for status, text in STATUSES.items() if counts[status]
    )
    kept = f"To win, a trial must keep: {listed(map(str, constraints))}." if constraints else ""
    return [
        *more,
        "Top-1 is the share of lines whose own text the matcher picks from the batch; *length* what line length alone would "
        "pick; *ratio* the norm of the contrastive gradient at the restored image over the pixel term's (all from the last epoch).",
        *(
            [" ".join(filter(None, [f"{words[0].upper()}{words[1:]}." if words else "", kept]))]
            if words or kept
            else []
        ),
        "",
        table(
            [
                "trial",
                "proposed by",
                "status",
                objective,
                "epoch",
                "PSNR",
                "CER",
                "CER judge",
                "top-1",
                "length",
                "ratio",
                "values",
            ],
            trial_rows(held, OBJECTIVES[objective].shown),
        ),
    ]


def write_report(
    folder: StudyFolder,
    request: Request,
    rows: list[Row],
    arms: Arms | None = None,
    images: bool = True,
) -> str:
    """Writes report.md and returns its result table with the findings, for the terminal.

    arms: the trials of the two arms to compare; OFF and the best contrastive trial without. images: whether the report shows any.
    Raises: StudyError for arms that the study does not have.
    """
    environment, references = (
        folder.read_json("environment.json"),
        folder.read_json("references.json"),
    )
    objective = environment.get("objective", request.space.objective)
    pair = named_pair(folder, rows, *arms) if arms else default_pair(folder, rows)
    single = (
        [ArmTrial.read(folder, row) for row in (best_row(rows, "off"), best_row(rows, "on")) if row]
        if pair is None
        else []
    )
    shown_trials = (
        {arm.name: side[0] for arm, side in zip(pair.arms, pair.compared, strict=True) if side}
        if pair
        else {trial.row.id: trial for trial in single}
    )
    compared = (
        [trial.row for side in pair.compared for trial in side]
        if pair
        else [trial.row for trial in single]
    )
    met = problems(rows, pair, compared, environment, references, objective)
    repeated = pair is not None and len(pair.seeds) > 1
    result = result_table(references, arm_rows(pair, rows))
    setup = setup_section(folder, request, rows, environment, pair)
    samples = sample_section(folder, shown_trials, images)
    files = files_section(
        folder,
        [trial.row.id for arm in pair.arms for trial in arm.trials] if pair else list(shown_trials),
    )
    judged = verdict_for_terminal(folder)
    said = headline(pair) if repeated and pair else findings(rows, objective, bool(judged))
    head = [
        *said,
        *(
            [f"Problems met, told below: {'; '.join(problem.title for problem in met)}."]
            if met
            else []
        ),
    ]
    if pair is not None:
        title = f"{pair.first.name} against {pair.second.name}"
        preset = request.preset if request.space.name == EXPERIMENT else None
        sections = pair_sections(pair, objective, setup, met, samples, preset, files)
    else:
        title = "No two arms to compare yet"
        sections = {
            "Set-up": setup,
            "Problems met": problem_section(met),
            "Sample images": samples,
            "Files": files,
        }
    objectives = list(dict.fromkeys((objective, *request.space.objectives[1:])))
    own = {
        **({"Verdict": verdict_section(folder)} if judged or not request.space.experiment else {}),
        "Trials": trial_section(rows, objective, request.space.constraints),
        **search_sections(folder, request.space, rows, objectives, request.seed),
    }
    parts = [
        f"# {cell(folder.path.name)}",
        "",
        *(line for each in verdict_in_short(folder) for line in (each, "")),
        f"Search-validation lines, each trial at its best epoch by `{objective}`.",
        "",
        result,
        "",
        *(f"- {line}" for line in head),
        "",
    ]
    for marks, held in (("##", own), ("##", {title: []}), ("###", sections)):
        for heading, lines in held.items():
            parts += [f"{marks} {heading}", "", *(["\n".join(lines).strip(), ""] if lines else [])]
    write_atomically(folder.path / "report.md", "\n".join(parts).encode())
    told = verdicts(pair) if repeated and pair is not None else said
    return "\n".join(
        [
            *(["", judged] if judged else []),
            "",
            result,
            "",
            *(f"- {line}" for line in [*told, *(problem.text for problem in met)]),
            "",
        ]
    )


def finish(
    folder: StudyFolder,
    request: Request,
    trials: Iterable[tuple[str, FrozenTrial]],
    stream: TextIO,
    arms: Arms | None = None,
    images: bool = True,
) -> None:
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
