"""The section "Set-up" of a report: machine, data, recognizers, the parameters in which two arms differ and those that both share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune.report_markup import cell, clock, shown, table
from tune.reporting.pair import Pair
from tune.space.settings import FORMULATION
from tune.space.space import Space
from tune.study.folder import StudyFolder
from tune.study.request import Request
from tune.study.sessions import Sessions
from tune.study.trial_table import Row

OF_THE_TERM = (
    "contrastive.",
    "head.",
    "text_encoder.",
    "train.contrastive_",
)  # without the term these have no part
SHARED = (
    *(f"loss.{name}" for name in ("pixel", "feature", "ctc", "adversarial")),
    "contrastive.weight",
    *(
        f"train.{name}"
        for name in (
            "generator_lr",
            "discriminator_lr",
            "contrastive_lr",
            "batch_size",
            "epochs",
            "steps_per_epoch",
            "clip_norm",
        )
    ),
)


def in_use(config: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """The keys that have a part in a training run: not those of an absent contrastive term, nor searched ones that others switch off."""
    active = space.sample(lambda parameter: config.get(parameter.key))
    off = {parameter.key for parameter in space.parameters if parameter.key not in active}
    if config.get(FORMULATION) == "none":
        off |= {key for key in config if key.startswith(OF_THE_TERM)} - {FORMULATION}
    return {key: value for key, value in config.items() if key not in off}


def value_of(config: Mapping[str, Any], key: str) -> str:
    """A key's value as a cell."""
    value = config.get(key)
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else cell(value)


def parameter_tables(pair: Pair | None, request: Request) -> list[str]:
    """Two tables: the keys in which the arms differ, side by side, and the main ones of those that both share."""
    stopping = {
        f"early_stopping.{name}": getattr(request.space.early_stopping, name)
        for name in ("patience", "min_delta")
    }
    if pair is None:
        config = {**in_use(request.config().flat(), request.space), **stopping}
        return [
            table(
                ["parameter", "value"],
                [[key, value_of(config, key)] for key in (*SHARED, *stopping) if key in config],
            )
        ]
    first, second = ({**in_use(arm.config, request.space), **stopping} for arm in pair.arms)
    chosen = {
        *request.space.baseline,
        *request.space.fixed,
        *request.settings,
        *(p.key for p in request.space.parameters),
    }
    keys = [key for key in dict.fromkeys([*first, *second]) if first.get(key) != second.get(key)]
    differ = [
        key
        for key in keys
        if key in chosen or pair.first.config.get(key) != pair.second.config.get(key)
    ]
    usual = [f"{key} {value_of({**first, **second}, key)}" for key in keys if key not in differ]
    shared = [key for key in (*SHARED, *stopping) if key in first and key not in differ]
    names = [arm.name for arm in pair.arms]
    return [
        "Parameters in which the arms differ, the seed left out (`-`: the key has no part in that arm):"
        if differ
        else "The arms differ in no parameter but the seed.",
        "",
        *(
            [
                table(
                    ["parameter", *names],
                    [[key, value_of(first, key), value_of(second, key)] for key in differ],
                    words=names,
                ),
                "",
            ]
            if differ
            else []
        ),
        *(
            [
                f"The contrastive term's other keys, as the preset has them (not every formulation and head has a use for each): "
                f"{', '.join(usual)}.",
                "",
            ]
            if usual
            else []
        ),
        "Parameters that both share (all the others are in `study.yaml` and in each trial's `config.json`):",
        "",
        table(["parameter", "value"], [[key, value_of(first, key)] for key in shared]),
    ]


def machine_lines(environment: Mapping[str, Any]) -> list[str]:
    """Hardware and software."""
    machine, packages = environment.get("machine", {}), environment.get("packages", {})
    memory = machine.get("memory_gb")
    return [
        f"- Hardware: {cell(machine.get('processor') or 'unknown processor')}, {machine.get('cpus') or 'unknown'} CPUs"
        f"{f', {memory:g} GiB of memory' if memory else ''}, {cell(environment.get('gpu') or 'no GPU')}; "
        f"{cell(machine.get('system') or 'unknown system')}.",
        f"- Software: Python {environment.get('python') or 'unknown'}, "
        f"{', '.join(f'{name} {version}' for name, version in packages.items()) or 'packages unknown'}; commit "
        f"{environment.get('commit') or 'unknown'}{' with uncommitted changes' if environment.get('uncommitted_changes') else ''}.",
    ]


def setup_section(
    folder: StudyFolder,
    request: Request,
    rows: list[Row],
    environment: Mapping[str, Any],
    pair: Pair | None,
) -> list[str]:
    """The section "Set-up"."""
    config, data, recognizers = (
        request.config(),
        environment.get("data", {}),
        environment.get("recognizers", {}),
    )
    ended = [row for row in rows if row.status not in ("running", "waiting")]
    clean = {
        role: shown(recognizers.get(role, {}).get("cer_clean"), "{:.3f}")
        for role in ("guide", "judge")
    }
    opened = folder.read_json("confirm/openings.json").get("openings", [])
    return [
        *machine_lines(environment),
        # the whole path is in study.yaml: a report is handed on, and a path of someone's machine tells nobody anything
        f"- Data: {cell(Path(str(data.get('name'))).name)}: {data.get('train')} training and {data.get('validation')} "
        f"search-validation lines of {config.data.height} x {config.data.width} px, {len(data.get('charset') or '')} characters; "
        f"{'the test split was opened for the verdict alone' if opened else 'the test split was not opened'}.",
        *(f"- Note: {cell(note)}" for note in data.get("notes", [])),
        f"- Recognizers: CER on clean search-validation lines {clean['guide']} (guide), {clean['judge']} (judge).",
        f"- Preset {request.preset} ({cell(request.preset_reason)}), study seed {request.seed}.",
        *(
            [
                f"- Batches of more than {config.train.micro_batch} lines were run in parts: the gradient is that of the whole batch, "
                "also of the contrastive loss, but batch norm takes its statistics from a part."
            ]
            if config.train.micro_batch
            else []
        ),
        *(
            [
                f"- Set on the command line: {cell(', '.join(f'{key} {value}' for key, value in request.settings.items()))}."
            ]
            if request.settings
            else []
        ),
        f"- {len(ended)} of {request.trials} trials ended, {clock(sum(row.seconds for row in rows))} of training in all, "
        f"{clock(Sessions(folder).spent_seconds())} from start to end.",
        "",
        *parameter_tables(pair, request),
    ]
