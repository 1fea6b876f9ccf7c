"""What a space says beside its parameters: what is optimised, how it is searched, how long, and how it ends. Its names and its values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ganhtr.config import PRESETS, RULES, Rule
from tune.metric import BY_KEY

OBJECTIVES = ("score", "psnr", "ssim", "cer", "wer")
METRICS = ("psnr", "ssim", "cer", "wer", "judge_cer", "judge_wer")
VERDICT_METRICS = ("psnr", "ssim", "judge_cer", "judge_wer")
SAMPLERS = ("tpe", "gp", "nsga2", "nsga3", "qmc", "random", "grid")
PRUNERS = ("asha", "hyperband", "median", "wilcoxon", "none")
FORMULATION = "contrastive.formulation"
OFF = {FORMULATION: "none"}
BUDGET_KEYS = {"train.epochs": "budget.epochs", "train.steps_per_epoch": "budget.steps_per_epoch"}
CONSTRAINT_RULES = ("min", "max", "below_off", "above_off")
MARGINS = {
    "psnr": 0.2,
    "ssim": 0.005,
    "cer": 0.005,
    "wer": 0.01,
    "judge_cer": 0.005,
    "judge_wer": 0.01,
}  # dB; the others as fractions


@dataclass(frozen=True)
class Budget:
    """How much a study trains: a search `trials`, an experiment both arms for each of `seeds`.

    `epochs` and `steps_per_epoch` are the preset's where None. A search ends earlier once its sessions took `wall_hours`, its trials
    `total_epochs`, once a contrastive trial reaches `target` (in the objective's own unit: a CER of at most that), or when `no_improvement`
    of them in a row were no better than the best.
    """

    trials: int = 12
    epochs: int | None = None
    steps_per_epoch: int | None = None
    seeds: int = 1
    wall_hours: float | None = None
    total_epochs: int | None = None
    target: float | None = None
    no_improvement: int | None = None


@dataclass(frozen=True)
class SearchSettings:
    """How trials are proposed and given up: names of sampler and pruner, epochs before which none is pruned, whether repeats are run."""

    sampler: str = "tpe"
    pruner: str = "asha"
    warmup: int = 5
    duplicates: str = "skip"


@dataclass(frozen=True)
class Constraint:
    """What a trial must keep to win: `min`, `max`, or at most `amount` below (`below_off`) or above (`above_off`) OFF's mean."""

    metric: str
    rule: str
    amount: float


@dataclass(frozen=True)
class VerdictSettings:
    """How a search ends: primary metric, seeds of the judgement (0: none), how many configurations are confirmed, what counts as equal."""

    primary: str = "psnr"
    seeds: int = 3
    top: int = 3
    margins: Mapping[str, float] = field(default_factory=lambda: dict(MARGINS))


@dataclass(frozen=True)
class EarlyStopping:
    """A trial stops after `patience` epochs without a gain of `min_delta` in the objective."""

    patience: int = 15
    min_delta: float = 0.01


SEARCH_ENDS = (
    "trials",
    "total_epochs",
    "target",
    "no_improvement",
)  # what an experiment, whose trials are settled, cannot follow
OF_A_SEARCH = ("search", "constraints", "first", "forbidden")  # sections that it has no use for

PRESET = Rule("preset", str, None, "configuration that the space changes", choices=tuple(PRESETS))
OBJECTIVE = Rule(
    "objective",
    str,
    "score",
    "what the study optimises: score is PSNR - 0.5 * 100 * CER",
    choices=OBJECTIVES,
)
# None as a default: not set, or the preset's own value holds.
BUDGET_RULES = {
    "trials": Rule("budget.trials", int, Budget.trials, "trials of a search", low=1, high=100_000),
    "seeds": Rule(
        "budget.seeds",
        int,
        Budget.seeds,
        "seeds of an experiment: each runs both arms",
        low=1,
        high=1000,
    ),
    "wall_hours": Rule(
        "budget.wall_hours",
        float,
        None,
        "hours that a study's sessions may take in all",
        low=0.001,
        high=10_000,
    ),
    "total_epochs": Rule(
        "budget.total_epochs",
        int,
        None,
        "epochs of all trials together beyond which none starts",
        low=1,
        high=10**9,
    ),
    "target": Rule(
        "budget.target",
        float,
        None,
        "value of the objective at which a search ends",
        low=-1e6,
        high=1e6,
    ),
    "no_improvement": Rule(
        "budget.no_improvement",
        int,
        None,
        "trials in a row without a better value after which a search ends",
        low=1,
        high=100_000,
    ),
    **{
        name.split(".")[1]: dataclasses.replace(RULES[key], key=name, default=None)
        for key, name in BUDGET_KEYS.items()
    },
}
STOPPING_RULES = {
    "patience": Rule(
        "early_stopping.patience",
        int,
        EarlyStopping.patience,
        "epochs without a better objective before a trial stops",
        low=1,
        high=100_000,
    ),
    "min_delta": Rule(
        "early_stopping.min_delta",
        float,
        EarlyStopping.min_delta,
        "gain of the objective that counts as better",
        low=0,
        high=1e6,
    ),
}
SEARCH_RULES = {
    "sampler": Rule(
        "search.sampler", str, SearchSettings.sampler, "who proposes trials", choices=SAMPLERS
    ),
    "pruner": Rule(
        "search.pruner", str, SearchSettings.pruner, "who gives trials up", choices=PRUNERS
    ),
    "warmup": Rule(
        "search.warmup",
        int,
        SearchSettings.warmup,
        "epochs before which no trial is given up",
        low=1,
        high=100_000,
    ),
    "duplicates": Rule(
        "search.duplicates",
        str,
        SearchSettings.duplicates,
        "skip: a configuration is run once; repeat: again with another seed",
        choices=("skip", "repeat"),
    ),
}
VERDICT_RULES = {
    "primary": Rule(
        "verdict.primary",
        str,
        VerdictSettings.primary,
        "the metric that the verdict is given on",
        choices=VERDICT_METRICS,
    ),
    "seeds": Rule(
        "verdict.seeds",
        int,
        VerdictSettings.seeds,
        "seeds of the judgement at the end of a search; 0: none",
        low=0,
        high=1000,
    ),
    "top": Rule(
        "verdict.top",
        int,
        VerdictSettings.top,
        "configurations that are confirmed before one is chosen",
        low=1,
        high=1000,
    ),
}
MARGIN = Rule(
    "verdict.margins",
    float,
    None,
    "difference within which two arms are practically equal, in the metric's unit",
    0,
    1e6,
)
AMOUNT = Rule(
    "constraints",
    float,
    None,
    "a limit, or how far a metric may lie from OFF's, in its unit",
    low=-1e6,
    high=1e6,
)


def violation(
    constraint: Constraint, metrics: Mapping[str, float], off_metrics: Mapping[str, float] | None
) -> float:
    """By how much a constraint is broken, in the metric's unit; 0 or less where it is kept, or where OFF is not known yet."""
    value = metrics[constraint.metric]
    if constraint.rule == "min":
        return constraint.amount - value
    if constraint.rule == "max":
        return value - constraint.amount
    if off_metrics is None:
        return 0.0
    above = value - off_metrics[constraint.metric]
    return (above if constraint.rule == "above_off" else -above) - constraint.amount


def violations(
    constraints: Iterable[Constraint],
    metrics: Mapping[str, float],
    off_metrics: Mapping[str, float] | None,
) -> list[float]:
    """The violation of each constraint in turn."""
    return [violation(constraint, metrics, off_metrics) for constraint in constraints]


def described(constraint: Constraint) -> str:
    """A constraint in words."""
    metric = BY_KEY[constraint.metric]
    words = {
        "min": "at least {}",
        "max": "at most {}",
        "below_off": "at most {} below OFF",
        "above_off": "at most {} above OFF",
    }
    return f"{metric.name} {words[constraint.rule].format(f'{constraint.amount:g}{metric.unit}')}"


def keeps(
    constraints: Iterable[Constraint],
    metrics: Mapping[str, float],
    off_metrics: Mapping[str, float] | None,
) -> bool:
    """Whether no constraint is broken."""
    return all(amount <= 0 for amount in violations(constraints, metrics, off_metrics))
