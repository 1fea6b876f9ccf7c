"""report.md: the result of a study in a table and the sentences that its numbers carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganhtr.train.checkpoint import write_atomically
from ganhtr.train.inputs import WEAK_READER
from tune.monitor import clock, short
from tune.objective import OBJECTIVES
from tune.study import Request, StudyFolder
from tune.trial_table import Row, best_row

COLUMNS = {"psnr": ("PSNR dB", "{:.2f}"), "ssim": ("SSIM", "{:.4f}"), "cer": ("CER", "{:.3f}"), "wer": ("WER", "{:.3f}"),
           "judge_cer": ("CER judge", "{:.3f}"), "judge_wer": ("WER judge", "{:.3f}")}
WORDS = ("proposed by", "status", "values")  # columns of words, to the left
PLEASED = 0.10  # CER points between guide and judge, beyond those on clean lines, from which on the result says so
TEXT_ALONE = 0.25  # accuracy lost when clean and restored image change places, from which on the text is what decides
CHANCE = 0.60  # accuracy up to which a discriminator counts as staying at chance


def cell(text: Any) -> str:
    """A table cell: no pipe and no line break of a name or value breaks the table, no tag of it becomes HTML."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("\n", " ")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with padded columns, so that a terminal shows it well too."""
    everything = [header, *rows]
    widths = [max(len(row[i]) for row in everything) for i in range(len(header))]
    left = [i == 0 or title in WORDS for i, title in enumerate(header)]
    lines = ["| " + " | ".join(text.ljust(w) if to_left else text.rjust(w) for text, w, to_left in zip(row, widths, left, strict=True))
             + " |" for row in everything]
    rule = "|" + "|".join("-" * (w + 2) if to_left else "-" * (w + 1) + ":" for w, to_left in zip(widths, left, strict=True)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def result_table(references: Mapping[str, Mapping[str, float]], off: Row | None, best: Row | None) -> str:
    """The rows degraded, Sauvola, OFF, best, clean."""
    rows = [("degraded", references.get("degraded", {})), ("Sauvola", references.get("sauvola", {})),
            (f"OFF ({off.id})" if off else "OFF", off.metrics if off else {}),
            (f"best ({best.id})" if best else "best", best.metrics if best else {}), ("clean", references.get("clean", {}))]
    return table(["", *(title for title, _ in COLUMNS.values())],
                 [[name, *(form.format(m[key]) if m.get(key) is not None else "-" for key, (_, form) in COLUMNS.items())]
                  for name, m in rows])


def findings(request: Request, rows: list[Row], environment: Mapping[str, Any], references: Mapping[str, Any]) -> list[str]:
    """What the numbers say, and what they cannot say."""
    said = []
    off, on, best = best_row(rows, "off"), best_row(rows, "on"), best_row(rows)
    objective = environment.get("objective", request.space.objective)
    shown = OBJECTIVES[objective].shown
    if off and on and best and off.value is not None and on.value is not None:
        gain = on.value - off.value
        said.append(f"The best contrastive trial, {on.id}, is {'better' if gain > 0 else 'no better'} than OFF in {objective}: "
                    f"{shown(on.value)} against {shown(off.value)}. `best/` holds {best.id}.")
    said.append("Each trial is one run with one seed, and the best of several is picked on the lines it is scored on. A single best "
                "trial says where to look, not whether contrast helps.")
    readers = environment.get("readers", {})
    clean = {role: readers.get(role, {}).get("cer_clean") for role in ("guide", "judge")}
    if any(cer is not None and cer > WEAK_READER for cer in clean.values()):
        said.append(f"The readers are too weak to judge text: CER on clean lines is {clean['guide']:.2f} (guide) and {clean['judge']:.2f} "
                    f"(judge), above {WEAK_READER:.2f}. CER and WER carry no weight here; the search maximised {objective}, and the result "
                    "rests on PSNR and SSIM.")
    for row in filter(None, (off, on)):
        gap = row.metrics["judge_cer"] - row.metrics["cer"]
        usual = references["clean"]["judge_cer"] - references["clean"]["cer"]
        if gap - usual > PLEASED:
            said.append(f"In {row.id} the guide reads much better than the judge (CER {row.metrics['cer']:.3f} against "
                        f"{row.metrics['judge_cer']:.3f}): the generator has learned to please the guide. Trust the judge's figures.")
    chance = [row.id for row in rows if row.peak_accuracy is not None and row.peak_accuracy < CHANCE]
    if chance:
        said.append(f"The discriminator stayed at chance in every epoch of {len(chance)} of {len(rows)} trials "
                    f"({', '.join(chance[:8])}): its loss taught the generator nothing there.")
    blind = [row.id for row in rows if row.last_metrics.get("accuracy_swapped") is not None and row.last_metrics["accuracy_swapped"]
             < (row.last_metrics["accuracy_real"] + row.last_metrics["accuracy_fake"]) / 2 - TEXT_ALONE]
    if blind:
        said.append(f"In {', '.join(blind[:8])} the discriminator decides by the text rather than by the image: with the images swapped "
                    "it is right far less often.")
    failed = [row for row in rows if row.status == "failed"]
    if failed:
        named = "; ".join(f"{row.id} ({cell(row.error)})" for row in failed[:5])
        said.append(f"{len(failed)} trials failed and cannot win: {named}.")
    unfinished = [row.id for row in rows if row.status in ("running", "waiting")]
    if unfinished:
        said.append(f"The study is not finished: {', '.join(unfinished)} wait to be continued.")
    return said


def trial_rows(rows: list[Row], shown: Callable[[float], str]) -> list[list[str]]:
    """The trials, best first."""
    ordered = sorted(rows, key=lambda row: -(row.value if row.finished and row.value is not None else float("-inf")))
    return [[row.id, row.proposed_by, row.status, shown(row.value) if row.value is not None else "-", f"{row.best_epoch or '-'}",
             *(f"{row.metrics[k]:.3f}" if k in row.metrics else "-" for k in ("psnr", "cer", "judge_cer")),
             *(f"{row.last_metrics[k]:.2f}" if row.last_metrics.get(k) is not None else "-" for k in
               ("retrieval_top1", "length_top1", "contrastive_ratio")),
             cell(short(row.values))]
            for row in ordered]


def write_report(folder: StudyFolder, request: Request, rows: list[Row]) -> str:
    """Writes report.md and returns its result table with the findings, for the terminal."""
    environment, references = folder.read_json("environment.json"), folder.read_json("references.json")
    off, best = best_row(rows, "off"), best_row(rows, "on")
    result = result_table(references, off, best)
    said = findings(request, rows, environment, references)
    config, data = request.config(), environment.get("data", {})
    objective = environment.get("objective", request.space.objective)
    packages = environment.get("packages", {})
    ended = [row for row in rows if row.status not in ("running", "waiting")]
    parts = [
        f"# {cell(folder.path.name)}", "",
        f"Search-validation lines, each trial at its best epoch by `{objective}`; *best* is the best contrastive trial.", "",
        result, "", *(f"- {line}" for line in said), "", "## Set-up", "",
        f"- Data: {cell(data.get('name'))}: {data.get('train')} training and {data.get('validation')} search-validation lines of "
        f"{config.data.height} x {config.data.width} px; the test split was not opened.",
        *(f"- Note: {cell(note)}" for note in data.get("notes", [])),
        f"- Preset {request.preset} ({request.preset_reason}), seed {request.seed}, {config.train.epochs} epochs of "
        f"{config.train.steps_per_epoch} steps of {config.train.batch_size} lines; early stopping after "
        f"{request.space.early_stopping.patience} epochs without a gain of {request.space.early_stopping.min_delta}.",
        f"- Loss weights: pixel {config.loss.pixel:g}, feature {config.loss.feature:g}, CTC {config.loss.ctc:g}, adversarial "
        f"{config.loss.adversarial:g}.",
        f"- {len(ended)} of {request.trials} trials ended, {clock(sum(row.seconds for row in rows))} of training in all, "
        f"{clock(sum(s['seconds'] for s in folder.read_json('sessions.json').get('sessions', [])))} from start to end.",
        f"- {', '.join(f'{name} {version}' for name, version in packages.items())}; commit {environment.get('commit') or 'unknown'}"
        f"{' with uncommitted changes' if environment.get('uncommitted_changes') else ''}.", "", "## Trials", "",
        "Top-1 is the share of lines whose own text the matcher picks from the batch; *length* what line length alone would pick; *ratio* "
        "the norm of the contrastive gradient at the restored image over the pixel term's (all from the last epoch).", "",
        table(["trial", "proposed by", "status", objective, "epoch", "PSNR", "CER", "CER judge", "top-1", "length", "ratio",
               "values"], trial_rows(rows, OBJECTIVES[objective].shown)), ""]
    for title, row in (("OFF", off), ("Best", best)):
        samples = sorted((folder.path / "trials" / row.id / "samples").glob("comparison_best_*.png")) if row else []
        if row and samples:
            parts += [f"## {title} ({row.id}, epoch {row.best_epoch}): degraded, restored, clean", "",
                      *(f"![{path.stem}](trials/{row.id}/samples/{path.name})\n" for path in samples)]
    write_atomically(folder.path / "report.md", "\n".join(parts).encode())
    return "\n".join(["", result, "", *(f"- {line}" for line in said), ""])
