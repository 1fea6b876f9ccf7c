"""The verdict on each arm and metric, with the figures behind it, and its form in JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from tune.metric import BY_KEY, Metric

HELPS, HURTS, EQUAL = "helps", "hurts", "practically equal"
UNCLEAR, NONE = "cannot tell", "no verdict"
MIN_SEEDS = 3  # complete seeds that a verdict needs
SETTLED_SEEDS = 5  # below this number a verdict is provisional
# With fewer lines the 95 % interval covers the truth too rarely: 2 lines 88 to 95 %,
# 3 lines 92 to 96 %, 5 lines 94 to 95 %, 10 lines 95 %.
MIN_LINES = 10


@dataclass(frozen=True)
class Runs:
    """What a comparison rests on.

    lines: number of lines with weight. seeds: complete in both arms. diverged: the run diverged,
    in any metric. missing: only the other arm has the run.
    """

    lines: int
    seeds: tuple[int, ...]
    off_diverged: tuple[int, ...]
    on_diverged: tuple[int, ...]
    off_missing: tuple[int, ...]
    on_missing: tuple[int, ...]

    @property
    def arm_loses_more(self) -> bool:
        """Whether the arm lost more seeds than OFF. A run that OFF lacks excuses no divergence."""
        on, off = len(self.on_diverged), len(self.off_diverged)
        return on > off or on + len(self.on_missing) > off + len(self.off_missing)

    @property
    def has_too_few_lines(self) -> bool:
        return 0 < self.lines < MIN_LINES


@dataclass(frozen=True)
class Difference:
    """The mean of each arm over the complete seeds, and the arm minus OFF: the mean and by seed."""

    off: float
    on: float
    estimate: float
    differences: tuple[float, ...]


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a difference; NaN with too few seeds or lines.

    paired_sd: standard deviation of the difference over seeds. seed_share, line_share: shares of
    the estimate's variance. bootstrap: a second interval, with at least 10 seeds.
    """

    low: float = math.nan
    high: float = math.nan
    df: float = math.nan
    paired_sd: float = math.nan
    seed_share: float = math.nan
    line_share: float = math.nan
    bootstrap: tuple[float, float] | None = None


@dataclass(frozen=True)
class Significance:
    """The p-value, and the p-value after Holm's adjustment over a family of `tests` tests."""

    p: float
    p_adjusted: float
    tests: int


@dataclass(frozen=True)
class SampleSize:
    """The sample size that detects a true difference of the margin with a power of 80 % after Holm.

    seeds_needed: total number of seeds; None if no number suffices.
    lines_needed: smallest number of lines, if no number of seeds suffices with the lines there are.
    """

    seeds_needed: int | None = None
    lines_needed: int | None = None


@dataclass(frozen=True)
class Evidence:
    """The figures of one metric of an arm, compared with OFF."""

    arm: str
    metric: Metric
    primary: bool
    margin: float
    runs: Runs
    difference: Difference
    interval: Interval
    significance: Significance
    sample_size: SampleSize

    @property
    def excludes_zero(self) -> bool:
        return self.interval.low > 0 or self.interval.high < 0

    @property
    def target(self) -> float:
        """The size of the difference to detect: the margin, or the estimate without a margin."""
        return self.margin or abs(self.difference.estimate)


@dataclass(frozen=True)
class Judgement(Evidence):
    """The verdict on one metric of an arm, with its reason and its figures."""

    word: str
    reason: str

    @property
    def provisional(self) -> bool:
        """Whether the verdict rests on few seeds."""
        return self.word != NONE and len(self.runs.seeds) < SETTLED_SEEDS

    @property
    def title(self) -> str:
        return f"{self.word} (provisional)" if self.provisional else self.word

    @property
    def more_seeds(self) -> int:
        """The further seeds that the verdict needs; 0 if it is settled or seeds do not help."""
        seeds_needed = self.sample_size.seeds_needed
        if self.runs.has_too_few_lines or (self.word == UNCLEAR and seeds_needed is None):
            return 0
        count = len(self.runs.seeds)
        if self.word != UNCLEAR or self.runs.arm_loses_more:
            seeds_needed = None
        return max(SETTLED_SEEDS, seeds_needed or 0, count) - count

    def to_plain(self) -> dict[str, Any]:
        """Return the judgement as one flat mapping, its parts laid side by side."""
        plain = {name: getattr(self, name) for name in _PLAIN_FIELDS} | {"metric": self.metric.key}
        for name in _PARTS:
            plain |= asdict(getattr(self, name))
        return {**plain, "provisional": self.provisional, "more_seeds": self.more_seeds}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Judgement:
        """Read the mapping of `to_plain`. Raises: KeyError or TypeError for anything else."""
        values = {name: plain[name] for name in _PLAIN_FIELDS}
        values |= {name: _part(part, plain) for name, part in _PARTS.items()}
        return cls(**{**values, "metric": BY_KEY[plain["metric"]]})


_PLAIN_FIELDS = ("arm", "metric", "primary", "margin", "word", "reason")
_PARTS: dict[str, type] = {
    "runs": Runs,
    "difference": Difference,
    "interval": Interval,
    "significance": Significance,
    "sample_size": SampleSize,
}


def _part(part: type, plain: dict[str, Any]) -> Any:
    """Read a part of a judgement: lists become tuples, and null becomes NaN in a float field."""
    values = {}
    for field in fields(part):
        value = plain[field.name]
        if value is None and field.type == "float":
            value = math.nan
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return part(**values)


@dataclass(frozen=True)
class Verdict:
    """All judgements: by arm in the order of the table, the primary metric first.

    notes: what a reader should know about the table.
    """

    primary: str
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()

    @property
    def on_primary(self) -> list[Judgement]:
        """The judgements on the primary metric."""
        return [judgement for judgement in self.judgements if judgement.primary]

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(judgement.arm for judgement in self.on_primary)

    @property
    def provisional(self) -> bool:
        return any(judgement.provisional for judgement in self.on_primary)

    @property
    def more_seeds(self) -> int:
        """The number of further seeds that the primary metric needs, in the arm that needs most."""
        return max(judgement.more_seeds for judgement in self.on_primary)

    def of(self, arm: str, metric: str | None = None) -> Judgement:
        """Return the judgement of an arm on a metric, by default the primary metric."""
        key = metric or self.primary
        return next(
            judgement
            for judgement in self.judgements
            if judgement.arm == arm and judgement.metric.key == key
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the verdict for `to_json`, which writes NaN as null."""
        return {
            "primary": self.primary,
            "provisional": self.provisional,
            "more_seeds": self.more_seeds,
            "judgements": [judgement.to_plain() for judgement in self.judgements],
            "notes": self.notes,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Verdict:
        """Read a verdict. Raises: KeyError, TypeError or ValueError for anything else."""
        judgements = tuple(Judgement.from_plain(row) for row in plain["judgements"])
        return cls(plain["primary"], judgements, tuple(plain["notes"]))
