"""The section "Verdict" of a report: what was judged, how the configuration was chosen, when the test lines were opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tune.metric import OBJECTIVES
from tune.report_markup import cell, listed, short, table
from tune.study.folder import CONFIRM, StudyError, StudyFolder
from tune.verdict.judgement import Verdict
from tune.verdict.wording import by_seed, method, onward, sentence
from tune.verdict.wording import table as verdict_table

NAMES = {"off": "OFF", "on": "ON"}


def read_verdict(folder: StudyFolder) -> Verdict | None:
    """The study's verdict; None where there is none. Raises: StudyError when its file holds something else."""
    path = folder.path / CONFIRM / "verdict.json"
    try:
        plain = folder.read_json(f"{CONFIRM}/verdict.json")
        return Verdict.from_plain(plain) if plain else None
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(
            f"{path}: must be a verdict that confirm wrote, got something else ({error}). Delete it and run: "
            f"{folder.command('confirm')}"
        ) from error


def verdict_for_terminal(folder: StudyFolder) -> str:
    """A sentence for each metric, the primary first, the table, and what the verdict lacks; empty without one."""
    verdict = read_verdict(folder)
    if verdict is None:
        return ""
    lacks = onward(verdict, f"{folder.command('confirm')} {enough_seeds(folder, verdict)}")
    return "\n".join(
        [
            "Verdict, on test lines:",
            *(f"- {sentence(each)}" for each in primary_first(verdict)),
            "",
            verdict_table(verdict),
            *(["", lacks] if lacks else []),
        ]
    )


def primary_first(verdict: Verdict) -> list[Any]:
    """Its judgements, those on the primary metric before all others."""
    return sorted(verdict.judgements, key=lambda each: not each.primary)


def enough_seeds(folder: StudyFolder, verdict: Verdict) -> str:
    """The option with which confirm runs the seeds that a verdict lacks: it counts those that ran too."""
    ran = max(
        (len(runs) for runs in folder.read_json(f"{CONFIRM}/judged.json").values()), default=0
    )
    return f"--seeds {ran + verdict.more_seeds}"


def command_of(folder: StudyFolder) -> str:
    """How to call confirm for this study from the project's folder: a report is handed on, so the path is a short one."""
    return f"python tune/confirm.py {cell(folder.path.parent.name)}/{cell(folder.path.name)}"


def verdict_in_short(folder: StudyFolder) -> list[str]:
    """The sentences on the primary metric; nothing without a verdict."""
    verdict = read_verdict(folder)
    return (
        [f"**{sentence(each)}**" for each in verdict.judgements if each.primary] if verdict else []
    )


def verdict_section(folder: StudyFolder) -> list[str]:
    """The section, or that there is no verdict and how to get one."""
    verdict, openings = read_verdict(folder), opening_lines(folder)
    if verdict is None:
        since = " of the study as it is now" if openings else ""
        return [
            f"There is no verdict{since}: every figure here is of single runs on search-validation lines. "
            f"`{command_of(folder)}` gives one.",
            *(["", *openings] if openings else []),
        ]
    choice, worth = (
        folder.read_json(f"{CONFIRM}/choice.json"),
        folder.read_json(f"{CONFIRM}/judged.json"),
    )
    lacks = onward(verdict, f"{command_of(folder)} {enough_seeds(folder, verdict)}")
    return [
        *judged_lines(choice, worth),
        "",
        *(f"- {sentence(each)}" for each in primary_first(verdict)),
        "",
        verdict_table(verdict),
        "",
        *([lacks, ""] if lacks else []),
        *(f"- {line}" for line in by_seed(verdict)),
        *(f"- {cell(note)}" for note in (*verdict.notes, *method(verdict))),
        *(["", *choice_lines(choice, worth)] if choice else []),
        *(["", *openings] if openings else []),
    ]


def judged_lines(
    choice: Mapping[str, Any], worth: Mapping[str, Mapping[str, float | None]]
) -> list[str]:
    """What the arms are, and on what they were judged."""
    chosen = choice.get("chosen", {})
    arms = [f"`{arm}` is {cell(chosen[arm])}" for arm in ("on", "off") if arm in chosen]
    seeds = list(dict.fromkeys(seed for runs in worth.values() for seed in runs))
    shuffled = (
        " `shuffled` is the same with texts that belong to other lines: where it does as well as `on`, it is not what the texts "
        "say that helps."
        if "shuffled" in worth
        else ""
    )
    return [
        f"On the test lines{f', with the seeds {listed(seeds)}' if seeds else ''}; CER and WER are the judge's; each run at the epoch "
        f"that search-validation chose, by one rule in all arms.{f' {listed(arms)}.' if arms else ''}{shuffled}"
    ]


def choice_lines(
    choice: Mapping[str, Any], worth: Mapping[str, Mapping[str, float | None]]
) -> list[str]:
    """Who was judged and why, and how much better the search's figure was than that of fresh runs (the winner's curse)."""
    objective, seeds = choice["objective"], [str(seed) for seed in choice["seeds"]]
    held = OBJECTIVES[objective]
    contested = any(each["values_by_seed"] for side in choice["arms"].values() for each in side)
    how = (
        f"The best configurations of the search ran again with the seeds {listed(seeds)}, on search-validation lines; that of the best "
        "mean was judged, with other seeds."
        if contested
        else "Each arm had one configuration, so there was nothing to choose."
    )
    rows, failed = [], []
    for arm, side in choice["arms"].items():
        for each in side:
            values = each["values_by_seed"]
            fresh = {
                stage: mean_of(runs)
                for stage, runs in (("chosen", values), ("judged", worth.get(arm, {})))
            }
            own = each["id"] == choice["chosen"].get(arm)
            after = fresh["judged"] if own else None
            failed += [
                f"{cell(each['id'])} with seed {seed}"
                for seed, value in values.items()
                if value is None
            ]
            failed += [
                f"{cell(each['id'])} with seed {seed}"
                for seed, value in worth.get(arm, {}).items()
                if own and value is None
            ]
            found = each["search_value"]
            rows.append(
                [
                    cell(each["id"]),
                    NAMES.get(arm, cell(arm)),
                    "yes" if own else "",
                    said(objective, found),
                    *(said(objective, values.get(seed)) for seed in seeds if contested),
                    *(
                        [said(objective, fresh["chosen"]), gap(held.places, found, fresh["chosen"])]
                        if contested
                        else []
                    ),
                    said(objective, after),
                    gap(held.places, found, after),
                    cell(short(each["values"])),
                ]
            )
    header = [
        "trial",
        "arm",
        "judged",
        f"{objective} in the search",
        *(f"seed {seed}" for seed in seeds if contested),
        *(["mean", "gap"] if contested else []),
        "mean of judged runs",
        "gap",
        "values",
    ]
    return [
        f"**How it was chosen.** {how} *Gap* is how much better the search's figure was than the mean of fresh runs on the same "
        "search-validation lines: the best of many runs is lucky too. `-`: no run, or one that failed.",
        "",
        table(header, rows, words=("arm", "judged", "values")),
        *(
            ["", f"Failed runs count and are not dropped: {listed(dict.fromkeys(failed))}."]
            if failed
            else []
        ),
    ]


def mean_of(runs: Mapping[str, float | None]) -> float | None:
    """The mean of the runs that have a value."""
    held = [value for value in runs.values() if value is not None]
    return sum(held) / len(held) if held else None


def said(objective: str, value: float | None) -> str:
    """A value of the objective as a cell."""
    return "-" if value is None else OBJECTIVES[objective].shown(value)


def gap(places: int, found: float | None, fresh: float | None) -> str:
    """By how much the search's figure was the better one; higher is better in both."""
    return "-" if found is None or fresh is None else f"{found - fresh:+z.{places}f}"


def opening_lines(folder: StudyFolder) -> list[str]:
    """Every time that the test lines were opened."""
    openings = folder.read_json(f"{CONFIRM}/openings.json").get("openings", [])
    if not openings:
        return []
    times = "once" if len(openings) == 1 else f"{len(openings)} times"
    weaker = (
        ""
        if len(openings) == 1
        else (
            " What was seen at one opening may have had a part in what came after it; the verdict is then "
            "weaker than its figures say."
        )
    )
    return [
        f"**The test lines were opened {times}.**{weaker}",
        "",
        *(
            f"- {cell(each['when'])}: {cell(each['why'])} ({each['runs']} runs, {each['lines']} lines)"
            for each in openings
        ),
    ]
