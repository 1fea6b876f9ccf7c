"""What is said of an arm against OFF: a word for each metric, with the figures that it rests on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from tune.metric import BY_KEY, Metric

HELPS, HURTS, EQUAL, UNCLEAR, NONE = (
    "helps",
    "hurts",
    "practically equal",
    "cannot tell",
    "no verdict",
)
ENOUGH, SETTLED = (
    3,
    5,
)  # complete pairs of seeds: for a verdict, and for one that is not provisional
FEWEST_LINES = 10  # of fewer the 95 % interval holds the truth too seldom: 2 lines 88 to 95 %, 3 92 to 96 %, 5 94 to 95 %, 10 95 %


@dataclass(frozen=True)
class Judgement:
    """One metric of an arm against OFF. NaN: what too few seeds do not tell.

    word, reason: the verdict and what it rests on. estimate: the arm's mean over the complete seeds less OFF's; low to high: its
    95 % interval, not adjusted for the number of metrics or arms; p_adjusted: after Holm over `tests` tests. paired_sd: of the difference,
    over seeds. seed_share, line_share: parts of the estimate's variance. seeds_needed: in all, to find a true difference of the size of the
    margin with a power of 80 % after Holm; lines_needed: the fewest lines to do so, where no number of seeds does with those there are.
    bootstrap: from 10 seeds on. off, on: the arms' means over the complete seeds; differences: by seed, in the order of `seeds`.
    off_diverged, on_diverged: seeds in which the run diverged, in whatever metric; off_missing, on_missing: those only the other arm has.
    """

    arm: str
    metric: str
    primary: bool
    word: str
    reason: str
    estimate: float
    low: float
    high: float
    df: float
    p: float
    p_adjusted: float
    tests: int
    margin: float
    paired_sd: float
    seed_share: float
    line_share: float
    seeds_needed: int | None
    lines_needed: int | None
    bootstrap: tuple[float, float] | None
    off: float
    on: float
    lines: int
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    off_diverged: tuple[int, ...]
    on_diverged: tuple[int, ...]
    off_missing: tuple[int, ...]
    on_missing: tuple[int, ...]

    @property
    def shown(self) -> Metric:
        """The metric as a report shows it."""
        return BY_KEY[self.metric]

    @property
    def provisional(self) -> bool:
        """Whether there is a verdict, of few seeds."""
        return ENOUGH <= len(self.seeds) < SETTLED and self.word != NONE

    @property
    def said(self) -> str:
        """The word, with what tempers it."""
        return f"{self.word} (provisional)" if self.provisional else self.word

    @property
    def loses_more(self) -> bool:
        """Whether the arm diverged in more seeds than OFF, or diverged or has no run in more. What OFF lacks excuses no divergence."""
        on, off = len(self.on_diverged), len(self.off_diverged)
        return on > off or on + len(self.on_missing) > off + len(self.off_missing)

    @property
    def few_lines(self) -> bool:
        """Whether there are lines, but too few for a verdict."""
        return 0 < self.lines < FEWEST_LINES

    @property
    def more_seeds(self) -> int:
        """How many more complete pairs of seeds the verdict asks for; 0 where it is settled or seeds are not what it lacks."""
        count = len(self.seeds)
        if self.few_lines or (self.word == UNCLEAR and self.seeds_needed is None):
            return 0
        wanted = self.seeds_needed or 0 if self.word == UNCLEAR and not self.loses_more else 0
        return max(SETTLED, wanted, count) - count


@dataclass(frozen=True)
class Verdict:
    """Every judgement: by arm in the table's order, the primary metric first. notes: what the table held that a reader should know."""

    primary: str
    judgements: tuple[Judgement, ...]
    notes: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(judgement.arm for judgement in self.judgements))

    @property
    def provisional(self) -> bool:
        return any(judgement.provisional for judgement in self.judgements if judgement.primary)

    @property
    def more_seeds(self) -> int:
        """How many more seeds the primary metric asks for, in the arm that asks for most."""
        return max(judgement.more_seeds for judgement in self.judgements if judgement.primary)

    def of(self, arm: str, metric: str | None = None) -> Judgement:
        """The judgement of an arm on a metric, by default the primary one."""
        return next(
            each
            for each in self.judgements
            if each.arm == arm and each.metric == (metric or self.primary)
        )

    def to_plain(self) -> dict[str, Any]:
        """The verdict for JSON: mappings, lists, and None for what is NaN."""
        held = {
            "primary": self.primary,
            "provisional": self.provisional,
            "more_seeds": self.more_seeds,
            "judgements": [
                {**asdict(each), "provisional": each.provisional, "more_seeds": each.more_seeds}
                for each in self.judgements
            ],
            "notes": list(self.notes),
        }
        return _finite(held)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Verdict:
        """The verdict that `to_plain` gave. Raises: KeyError or TypeError for anything else."""
        rows = []
        for row in plain["judgements"]:
            fields: dict[str, Any] = {name: row[name] for name in Judgement.__dataclass_fields__}
            fields |= {
                name: tuple(value) for name, value in fields.items() if isinstance(value, list)
            }
            fields |= {name: math.nan for name in _NUMBERS if fields[name] is None}
            rows.append(Judgement(**fields))
        return cls(plain["primary"], tuple(rows), tuple(plain["notes"]))


_NUMBERS = {name for name, field in Judgement.__dataclass_fields__.items() if field.type == "float"}


def _finite(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _finite(each) for key, each in item.items()}
    if isinstance(item, (list, tuple)):
        return [_finite(each) for each in item]
    return None if isinstance(item, float) and not math.isfinite(item) else item
