"""The request for a study: space, data, options. study.yaml holds it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ganhtr.config import Config, build_config
from tune.space.load import space_from_plain
from tune.space.plain import plain_of
from tune.space.space import Space


@dataclass(frozen=True)
class Request:
    """What a study runs, as the command line requested it."""

    space: Space
    preset: str
    preset_reason: str
    settings: dict[str, Any]  # keys set on the command line
    data: str
    charset: str | None
    fonts: str | None
    trials: int
    seed: int
    cpus_per_trial: float
    gpus_per_trial: float
    single: bool = False  # one configuration, without Ray
    warm: tuple[str, ...] = ()  # earlier studies that the sampler learns from

    def config(self) -> Config:
        """Build the configuration that every trial starts from. Raises: ConfigError."""
        space = replace(self.space, preset=self.preset)
        config = build_config(
            self.preset, {**space.overrides({}), **self.settings, "train.seed": self.seed}
        )
        # Derived values may depend on the settings of the command line.
        return config.replace(space.bound(config.flat()).completed({})) if space.derived else config

    @property
    def bound_space(self) -> Space:
        """The space with the configuration that every trial starts from."""
        return self.space.bound(self.config().flat())

    @property
    def device(self) -> str:
        """The device on which trials train."""
        return "cuda" if self.gpus_per_trial else "cpu"

    def plain(self) -> dict[str, Any]:
        """The request as study.yaml holds it, the configuration resolved."""
        options = {name: value for name, value in vars(self).items() if name != "space"}
        return {
            **options,
            "warm": list(self.warm),
            "space_name": self.space.name,
            "space": plain_of(self.space),
            "config": self.config().flat(),
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Request:
        """Build the request that `plain` describes."""
        rest = {
            name: value
            for name, value in plain.items()
            if name not in ("space", "space_name", "config")
        }
        return cls(
            space=space_from_plain(plain["space"], plain["space_name"]),
            **{**rest, "warm": tuple(rest.get("warm", ()))},
        )

    def extended(self, trials: int) -> Request:
        """The same study with more trials (seeds, for an experiment) and no other budget."""
        budget = self.space.budget
        if self.space.experiment:
            budget, trials = replace(budget, seeds=budget.seeds + trials), 2 * trials
        budget = replace(
            budget, wall_hours=None, total_epochs=None, target=None, no_improvement=None
        )
        return replace(self, space=replace(self.space, budget=budget), trials=self.trials + trials)
