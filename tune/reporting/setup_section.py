"""The section "Set-up" of a report: machine, data, recognizers and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune.report_markup import cell, clock, shown, table
from tune.reporting.pair import Pair
from tune.space.settings import FORMULATION
from tune.space.space import Space
from tune.study.folder import CONFIRM, StudyFolder
from tune.study.request import Request
from tune.study.sessions import Sessions
from tune.study.trial_status import OPEN
from tune.study.trial_table import Row

# Parameters without effect if there is no contrastive term
CONTRASTIVE = ("contrastive.", "head.", "text_encoder.", "train.contrastive_")
IN_PARTS = (
    "were run in parts. The gradient is that of the whole batch, also of the contrastive loss, but "
    "batch norm takes its statistics from a part."
)
MAIN = (
    "loss.pixel",
    "loss.feature",
    "loss.ctc",
    "loss.adversarial",
    "contrastive.weight",
    "train.generator_lr",
    "train.discriminator_lr",
    "train.contrastive_lr",
    "train.batch_size",
    "train.epochs",
    "train.steps_per_epoch",
    "train.clip_norm",
)


def in_use(config: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Return the parameters that affect a training run.

    Left out are those of an absent contrastive term, and searched ones that others switch off.
    """
    active = space.sample(lambda parameter: config.get(parameter.key))
    off = {parameter.key for parameter in space.parameters if parameter.key not in active}
    if config.get(FORMULATION) == "none":
        off |= {key for key in config if key.startswith(CONTRASTIVE)} - {FORMULATION}
    return {key: value for key, value in config.items() if key not in off}


def value_of(config: Mapping[str, Any], key: str) -> str:
    """Return a parameter's value as a cell."""
    value = config.get(key)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else cell(value)


def parameter_tables(pair: Pair | None, request: Request) -> list[str]:
    """Return the parameters in which the arms differ, then the main ones that they share."""
    space = request.space
    stopping = {
        "early_stopping.patience": space.early_stopping.patience,
        "early_stopping.min_delta": space.early_stopping.min_delta,
    }
    main = (*MAIN, *stopping)
    if pair is None:
        config = {**in_use(request.config().flat(), space), **stopping}
        rows = [[key, value_of(config, key)] for key in main if key in config]
        return [table(["parameter", "value"], rows)]
    first, second = ({**in_use(arm.config, space), **stopping} for arm in pair.arms)
    keys = [key for key in {**first, **second} if first.get(key) != second.get(key)]
    # A key of the contrastive term is absent from OFF. It tells the arms apart only if it was
    # chosen, or if the arms were configured differently.
    chosen = {
        *space.baseline,
        *space.fixed,
        *request.settings,
        *(parameter.key for parameter in space.parameters),
    }
    differ = [
        key
        for key in keys
        if key in chosen or pair.first.config.get(key) != pair.second.config.get(key)
    ]
    preset = [f"{key} {value_of({**first, **second}, key)}" for key in keys if key not in differ]
    names = [arm.name for arm in pair.arms]
    rows = [[key, value_of(first, key), value_of(second, key)] for key in differ]
    differing = [
        "Parameters in which the arms differ, except the seed (`-`: not used in that arm):",
        "",
        table(["parameter", *names], rows, words=names),
        "",
    ]
    others = [
        "Other parameters of the contrastive term, from the preset (some formulations and heads do "
        f"not use all of them): {', '.join(preset)}.",
        "",
    ]
    shared = [key for key in main if key in first and key not in differ]
    return [
        *(differing if differ else ["The arms differ in no parameter but the seed.", ""]),
        *(others if preset else []),
        "Main parameters that both share (all are in `study.yaml` and in each trial's "
        "`config.json`):",
        "",
        table(["parameter", "value"], [[key, value_of(first, key)] for key in shared]),
    ]


def machine_lines(environment: Mapping[str, Any]) -> list[str]:
    """Return hardware and software."""
    machine, packages = environment.get("machine", {}), environment.get("packages", {})
    memory = machine.get("memory_gb")
    hardware = [
        cell(machine.get("processor") or "unknown processor"),
        f"{machine.get('cpus') or 'unknown'} CPUs",
        *([f"{memory:g} GiB of memory"] if memory else []),
        cell(environment.get("gpu") or "no GPU"),
    ]
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    changes = " with uncommitted changes" if environment.get("uncommitted_changes") else ""
    commit = f"{environment.get('commit') or 'unknown'}{changes}"
    return [
        f"- Hardware: {', '.join(hardware)}; {cell(machine.get('system') or 'unknown system')}.",
        f"- Software: Python {environment.get('python') or 'unknown'}, "
        f"{versions or 'packages unknown'}; commit {commit}.",
    ]


def setup_section(
    folder: StudyFolder,
    request: Request,
    rows: list[Row],
    environment: Mapping[str, Any],
    pair: Pair | None,
) -> list[str]:
    """Return the section "Set-up"."""
    config, data = request.config(), environment.get("data", {})
    recognizers = environment.get("recognizers", {})
    clean = [
        f"{shown(recognizers.get(role, {}).get('cer_clean'), '{:.3f}')} ({role})"
        for role in ("guide", "judge")
    ]
    opened = folder.read_json(f"{CONFIRM}/openings.json").get("openings", [])
    test = "opened for the verdict only" if opened else "not opened"
    some, every = config.data.epoch_lines, data.get("validation") or 0
    measured = ""
    if 0 < some < every:
        measured = (
            f" Each epoch is measured on {some} of the search-validation lines; the weights that a "
            f"finished trial kept are measured on all {every}."
        )
    ended = [row for row in rows if row.status not in OPEN]
    parts = config.train.micro_batch
    settings = ", ".join(f"{key} {value}" for key, value in request.settings.items())
    return [
        *machine_lines(environment),
        # Reports are passed on, so the folder's path stays out; it is in study.yaml.
        f"- Data: {cell(Path(str(data.get('name'))).name)}: {data.get('train')} training and "
        f"{data.get('validation')} search-validation lines of "
        f"{config.data.height} x {config.data.width} px, {len(data.get('charset') or '')} "
        f"characters; the test lines were {test}.{measured}",
        *(f"- Note: {cell(note)}" for note in data.get("notes", [])),
        f"- Recognizers: CER on clean search-validation lines {', '.join(clean)}.",
        f"- Preset {request.preset} ({cell(request.preset_reason)}), study seed {request.seed}.",
        *([f"- Batches of more than {parts} lines {IN_PARTS}"] if parts else []),
        *([f"- Set on the command line: {cell(settings)}."] if settings else []),
        f"- {len(ended)} of {request.trials} trials ended: "
        f"{clock(sum(row.seconds for row in rows))} of training in total, "
        f"{clock(Sessions(folder).spent_seconds())} from start to end.",
        "",
        *parameter_tables(pair, request),
    ]
