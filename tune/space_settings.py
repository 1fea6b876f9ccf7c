"""What a space says beside its parameters: what is optimised, how it is searched, how long, and how it ends. Its names and its values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OBJECTIVES = ("score", "psnr", "ssim", "cer", "wer")
METRICS = ("psnr", "ssim", "cer", "wer", "judge_cer", "judge_wer")
VERDICT_METRICS = ("psnr", "ssim", "judge_cer", "judge_wer")
SAMPLERS = ("tpe", "gp", "nsga2", "nsga3", "qmc", "random", "grid")
PRUNERS = ("asha", "hyperband", "median", "wilcoxon", "none")
FORMULATION = "contrastive.formulation"
OFF = {FORMULATION: "none"}
BUDGET_KEYS = {"train.epochs": "budget.epochs", "train.steps_per_epoch": "budget.steps_per_epoch"}
CONSTRAINT_RULES = ("min", "max", "below_off", "above_off")
MARGINS = {"psnr": 0.2, "ssim": 0.005, "cer": 0.005, "wer": 0.01, "judge_cer": 0.005, "judge_wer": 0.01}  # dB; the others as fractions


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
