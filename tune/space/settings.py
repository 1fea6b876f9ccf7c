"""The settings of a space file: what is optimised, how long, how trials are proposed and judged.

Each setting declares its type, default, rule and meaning where its field is. Reading a file, the
JSON Schema and the tables of search_spaces/README.md follow these declarations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args, get_type_hints

from ganhtr.config import PRESETS, RULES, Rule
from tune.metric import MARGINS, OBJECTIVES, VERDICT_METRICS

SAMPLERS = ("tpe", "gp", "nsga2", "nsga3", "qmc", "random", "grid")
PRUNERS = ("asha", "hyperband", "median", "wilcoxon", "none")
FORMULATION = "contrastive.formulation"


def _rule(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple = (),
    kind_of_study: str = "",
) -> Any:
    """A field with its rule. kind_of_study: "search" or "experiment" if it applies to one only."""
    rule = {"doc": doc, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata={"rule": rule, "kind_of_study": kind_of_study})


def _rule_of(key: str) -> Any:
    """A field that replaces a configuration key in a space file; None leaves it to the preset."""
    rule = {name: getattr(RULES[key], name) for name in ("doc", "low", "high", "choices")}
    return field(default=None, metadata={"rule": rule, "kind_of_study": "", "config_key": key})


@dataclass(frozen=True)
class Budget:
    """How much a study trains: a search its `trials`, an experiment both arms for each seed."""

    trials: int = _rule(12, "trials of a search", low=1, high=100_000, kind_of_study="search")
    epochs: int | None = _rule_of("train.epochs")
    steps_per_epoch: int | None = _rule_of("train.steps_per_epoch")
    seeds: int = _rule(
        1,
        "seeds of an experiment, each of which runs both arms",
        low=1,
        high=1000,
        kind_of_study="experiment",
    )
    match: str = _rule(
        "steps",
        "what OFF and ON have in common in the verdict: the steps, or the seconds, for which OFF "
        "then trains more epochs",
        choices=("steps", "seconds"),
        kind_of_study="search",
    )
    wall_hours: float | None = _rule(
        None, "hours that the sessions of a study may take in all", low=0.001, high=10_000
    )
    total_epochs: int | None = _rule(
        None,
        "epochs of all trials together after which no new trial starts",
        low=1,
        high=10**9,
        kind_of_study="search",
    )
    target: float | None = _rule(
        None,
        "value of the objective, in its own unit, at which a search ends",
        low=-1e6,
        high=1e6,
        kind_of_study="search",
    )
    no_improvement: int | None = _rule(
        None,
        "trials in a row without a better value after which a search ends",
        low=1,
        high=100_000,
        kind_of_study="search",
    )


@dataclass(frozen=True)
class EarlyStopping:
    """When a trial stops because its objective no longer improves."""

    patience: int = _rule(
        15, "epochs without a better objective before a trial stops", low=1, high=100_000
    )
    min_delta: float = _rule(0.01, "gain of the objective that counts as better", low=0, high=1e6)


@dataclass(frozen=True)
class SearchSettings:
    """How trials are proposed and pruned."""

    sampler: str = _rule("tpe", "method that proposes trials", choices=SAMPLERS)
    pruner: str = _rule("asha", "method that stops poor trials early", choices=PRUNERS)
    warmup: int = _rule(5, "first epoch at which a trial may be pruned", low=1, high=100_000)
    duplicates: str = _rule(
        "skip",
        "skip: a configuration runs once; repeat: it may run again with another seed",
        choices=("skip", "repeat"),
    )


@dataclass(frozen=True)
class VerdictSettings:
    """How the verdict is reached."""

    primary: str | None = _rule(
        None,
        "metric that decides the verdict (default: that of the objective, read by the judge)",
        choices=VERDICT_METRICS,
    )
    seeds: int = _rule(
        3, "fresh seeds of the confirmation after a search; 0: no confirmation", low=0, high=1000
    )
    top: int = _rule(
        3, "best configurations that compete before one is confirmed", low=1, high=1000
    )
    margins: Mapping[str, float] = field(default_factory=lambda: dict(MARGINS))

    def primary_of(self, objective: str) -> str:
        """Return the metric that decides the verdict on a study with this objective."""
        return self.primary or OBJECTIVES[objective].verdict


def _rules(section: str, settings: type) -> dict[str, Rule]:
    """The rules of the fields of a section."""
    types = get_type_hints(settings)
    return {
        setting.name: Rule(
            f"{section}.{setting.name}",
            # The type of `int | None` is int: None is a default and cannot be written.
            (get_args(types[setting.name]) or (types[setting.name],))[0],
            setting.default,
            **setting.metadata["rule"],
        )
        for setting in fields(settings)
        if "rule" in setting.metadata
    }


SETTINGS: dict[str, type] = {
    "budget": Budget,
    "early_stopping": EarlyStopping,
    "search": SearchSettings,
    "verdict": VerdictSettings,
}
SETTING_RULES = {section: _rules(section, settings) for section, settings in SETTINGS.items()}
MARGIN = Rule(
    "verdict.margins",
    float,
    None,
    "difference up to which two arms are practically equal, in the unit of the metric",
    low=0,
    high=1e6,
)
AMOUNT = Rule(
    "constraints",
    float,
    None,
    "limit of the metric, or its largest distance from OFF, in the unit of the metric",
    low=-1e6,
    high=1e6,
)
PRESET = Rule(
    "preset",
    str,
    None,
    "configuration that the space changes (default: small with CUDA, else tiny)",
    choices=tuple(PRESETS),
)
OBJECTIVE = Rule(
    "objective",
    str,
    "score",
    "what the study optimises, or a list; score is PSNR - 0.5 * 100 * CER",
    choices=tuple(OBJECTIVES),
)

# Configuration keys that a space file sets in its budget -> their names there.
BUDGET_KEYS = {
    setting.metadata["config_key"]: f"budget.{setting.name}"
    for setting in fields(Budget)
    if "config_key" in setting.metadata
}
SEARCH_ENDS = tuple(
    setting.name for setting in fields(Budget) if setting.metadata["kind_of_study"] == "search"
)
FIXABLE = {key: rule for key, rule in RULES.items() if key not in BUDGET_KEYS}
SEARCHABLE = {key: rule for key, rule in FIXABLE.items() if not rule.shared and key != "train.seed"}


@dataclass(frozen=True)
class TopLevelKey:
    """A top-level key of a space file.

    kind: what is written there, a "value", a "list", or a "section" of keys with values.
    search_only: whether an experiment cannot have it.
    """

    kind: str
    doc: str
    search_only: bool = False


TOP_LEVEL = {
    "extends": TopLevelKey("value", "space file that this file changes"),
    "preset": TopLevelKey("value", PRESET.doc),
    "objective": TopLevelKey("value", OBJECTIVE.doc),
    "budget": TopLevelKey("section", "how much the study trains, and what ends it"),
    "early_stopping": TopLevelKey("section", "when a trial stops early"),
    "search": TopLevelKey("section", "how trials are proposed and pruned", search_only=True),
    "constraints": TopLevelKey(
        "section", "conditions that a trial must meet to win", search_only=True
    ),
    "verdict": TopLevelKey("section", "how the verdict is reached"),
    "baseline": TopLevelKey("section", "values of the OFF arm, which has no contrastive loss"),
    "fixed": TopLevelKey("section", "values that all trials share"),
    "derived": TopLevelKey("section", "values computed from others, such as 2 * head.dim"),
    "forbidden": TopLevelKey("list", "combinations that no trial may have", search_only=True),
    "first": TopLevelKey("section", "named points that are tried first", search_only=True),
    "space": TopLevelKey("section", "searched parameters; without any, an experiment"),
}
SECTIONS = tuple(name for name, key in TOP_LEVEL.items() if key.kind == "section")
SEARCH_ONLY = tuple(name for name, key in TOP_LEVEL.items() if key.search_only)
