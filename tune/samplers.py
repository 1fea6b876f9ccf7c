"""Samplers by name, within the rules of a space: no forbidden combination, settled values kept, a history that does not grow without end."""

from __future__ import annotations

import heapq
import random
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, NSGAIIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from tune.arm_study import Key, values_key
from tune.parameter import Parameter
from tune.space import Space

Violations = Callable[[FrozenTrial], list[float]]
HISTORY = {"tpe": 500, "gp": 200}  # trials that a model is made from; the cost of a proposal grows with them
KEPT_BEST = 50  # of these, the best; the others are the latest
POPULATION = 20
REDRAWS = 100
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class BoundedHistory:
    """A study of which a sampler sees the best trials, the latest, and those that run: `limit` ended ones at most."""

    def __init__(self, study: optuna.Study, limit: int | None):
        self._study, self._limit = study, limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, deepcopy: bool = True, states: Collection[TrialState] | None = None, use_cache: bool = False) -> list[FrozenTrial]:
        held = self._study._get_trials(deepcopy=False, use_cache=use_cache)
        ended = [trial for trial in held if trial.state in ENDED]
        if self._limit is not None and len(ended) > self._limit:
            complete = [trial for trial in ended if trial.state == TrialState.COMPLETE]
            best = {trial.number for index in range(len(self._study.directions)) for trial in best_by(complete, index)}
            latest = [trial.number for trial in ended if trial.number not in best][-(self._limit - len(best)):]
            kept = best | set(latest)
            held = [trial for trial in held if trial.state not in ENDED or trial.number in kept]
        return [trial for trial in held if states is None or trial.state in states]

    def get_trials(self, deepcopy: bool = True, states: Collection[TrialState] | None = None) -> list[FrozenTrial]:
        """As a study's."""
        return self._get_trials(deepcopy, states)


def best_by(trials: list[FrozenTrial], index: int) -> list[FrozenTrial]:
    """The best trials by one of their values."""
    return heapq.nlargest(KEPT_BEST, trials, key=lambda trial: trial.values[index])


class SobolSampler(BaseSampler):
    """One scrambled Sobol sequence a study (Owen 1998, by SciPy), a coordinate for each parameter, active or not: the nth trial gets its nth
    point, so that the sequence needs no memory."""

    def __init__(self, parameters: Sequence[Parameter], seed: int, number: int):
        from scipy.stats.qmc import Sobol

        sequence = Sobol(len(parameters), scramble=True, rng=seed)
        if number:
            sequence.fast_forward(number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on balance at powers of two
            self.point = dict(zip((parameter.key for parameter in parameters), sequence.random(1)[0].tolist(), strict=True))

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: each parameter has its coordinate."""
        return {}

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """The value at the parameter's coordinate."""
        return at_share(param_distribution, self.point[param_name])


def at_share(distribution: BaseDistribution, share: float) -> Any:
    """The value below which this share (0 to 1) of a distribution lies."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[min(int(share * len(distribution.choices)), len(distribution.choices) - 1)]
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high, step = distribution.low, distribution.high, distribution.step
    whole = isinstance(distribution, IntDistribution)
    if distribution.log:
        edge = 0.5 if whole else 0.0
        value = (low - edge) * ((high + edge) / (low - edge)) ** share
        return min(max(round(value), low), high) if whole else min(max(value, low), high)
    if step is None:
        return low + share * (high - low)
    steps = min(int(share * (round((high - low) / step) + 1)), round((high - low) / step))
    return low + steps * step


class SpaceSampler(BaseSampler):
    """Draws as `inner` does, but never a forbidden combination, and `fixed` values as they are."""

    def __init__(self, inner: BaseSampler, space: Space, parameters: Sequence[Parameter], fixed: Mapping[str, Any], seed: int,
                 limit: int | None = None):
        self.inner, self.space, self.parameters, self.fixed, self.seed, self.limit = inner, space, parameters, dict(fixed), seed, limit

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The inner sampler's, without what is settled."""
        found = self.inner.infer_relative_search_space(self._seen(study), trial)
        return {name: held for name, held in found.items() if name not in self.fixed}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """The inner sampler's values, drawn again while they are forbidden; nothing after many vain draws."""
        if not search_space:
            return {}
        for _ in range(REDRAWS if self.space.forbidden else 1):
            drawn = self.inner.sample_relative(self._seen(study), trial, search_space)
            values = {**drawn, **self.fixed}
            active = {key: values[key] for key in self.space.sample(lambda parameter: values.get(parameter.key), self.parameters) if key in values}
            if not self.space.forbids(active):
                return drawn
        return {}

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """A settled value, else the inner sampler's, drawn again while it completes a forbidden combination, at last by chance."""
        if param_name in self.fixed:
            return self.fixed[param_name]
        for _ in range(REDRAWS if self.space.forbidden else 1):
            value = self.inner.sample_independent(self._seen(study), trial, param_name, param_distribution)
            if not self.space.forbids({**trial.params, param_name: value}):
                return value
        parameter, rng = next(each for each in self.parameters if each.key == param_name), random.Random(self.seed)
        values = parameter.every_value() if parameter.finite else tuple(parameter.random_value(rng) for _ in range(REDRAWS))
        allowed = [each for each in values if not self.space.forbids({**trial.params, param_name: each})]
        return rng.choice(allowed) if allowed else value

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """As the inner sampler."""
        self.inner.before_trial(study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As the inner sampler."""
        self.inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Nothing: each trial has a sampler of its own, seeded by its number."""

    def _seen(self, study: optuna.Study) -> Any:
        return BoundedHistory(study, self.limit)


def build_sampler(space: Space, name: str, parameters: Sequence[Parameter], seed: int, *, study_seed: int, number: int,
                  fixed: Mapping[str, Any] | None = None, constraints_func: Violations | None = None) -> BaseSampler:
    """The sampler of one trial. seed: the trial's; study_seed and number: of its sequence, for `qmc`.

    `grid` and whatever has every value settled draw from nothing: any sampler does.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # `group` and constraints are, since years
        inner: BaseSampler
        if name == "tpe":
            inner = TPESampler(seed=seed, n_startup_trials=1, multivariate=True, group=True, constant_liar=True,
                               constraints_func=constraints_func)
        elif name == "gp":
            inner = GPSampler(seed=seed, n_startup_trials=1, constraints_func=constraints_func, warn_independent_sampling=False)
        elif name in ("nsga2", "nsga3"):
            kind = NSGAIISampler if name == "nsga2" else NSGAIIISampler
            inner = kind(population_size=POPULATION, seed=seed, constraints_func=constraints_func)
        elif name == "qmc":
            inner = SobolSampler(parameters, study_seed, number)
        else:
            inner = RandomSampler(seed=seed)
    return SpaceSampler(inner, space, parameters, fixed or {}, seed, HISTORY.get(name))


def grid_point(space: Space, parameters: Sequence[Parameter], taken: Mapping[Key, int], seed: int) -> dict[str, Any] | None:
    """The next point of the grid, in an order drawn by the seed; None when all were taken."""
    points = space.grid(parameters)
    random.Random(seed).shuffle(points)
    return next((point for point in points if not taken.get(values_key(space.completed(point)))), None)
