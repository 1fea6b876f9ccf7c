"""Samplers by name, within the rules of a space, and with a history of bounded size."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import (
    BaseGASampler,
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial, TrialState

from ganhtr.seeds import derive_seed
from tune.searcher.arm_study import Key, values_key
from tune.searcher.distributions import distribution_of
from tune.searcher.shown_trials import (
    History,
    ShownStudy,
    Violations,
    all_complete,
    generations,
    with_constraints,
)
from tune.space.parameter import Parameter
from tune.space.space import Space

HISTORY = {"tpe": 500, "gp": 150}  # ended trials that a model learns from: its cost grows with them
POPULATION = 16  # of a generation: studies have dozens of trials rather than thousands
# How often a whole trial, a single value and, as a last resort, a uniform draw is repeated until
# nothing in it is forbidden.
WHOLE_DRAWS, DRAWS, LAST_DRAWS = 5, 10, 10_000


class SobolSampler(BaseSampler):
    """Give trial n of a study the nth point of a Sobol sequence: there is nothing to remember.

    Each parameter has a coordinate. That of an inactive parameter is not used. A parameter that is
    drawn again, because its value was forbidden, gets the nth value of another sequence.

    Source: scrambled Sobol sequences (Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points"),
    by SciPy. Differs from Optuna's QMCSampler, which counts its points in the study and gives
    conditional parameters random values.
    """

    def __init__(self, keys: Sequence[str], study_seed: int, number: int):
        self.keys, self.study_seed, self.number = list(keys), study_seed, number
        self.asked: Counter[str] = Counter()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return nothing: each parameter has its own coordinate."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value at the parameter's coordinate."""
        share = self.point(self.asked[param_name])[self.keys.index(param_name)]
        self.asked[param_name] += 1
        if isinstance(param_distribution, CategoricalDistribution):
            return param_distribution.choices[int(share * len(param_distribution.choices))]
        transform = _SearchSpaceTransform({param_name: param_distribution}, transform_0_1=True)
        return transform.untransform(np.array([share]))[param_name]

    def point(self, sequence: int) -> np.ndarray:
        """Return the trial's point in one of the study's sequences.

        Shape: (parameters,), each in [0, 1).
        """
        from scipy.stats.qmc import Sobol

        seed = derive_seed(self.study_seed, "sobol", sequence)
        points = Sobol(len(self.keys), scramble=True, seed=seed)
        return (points.fast_forward(self.number) if self.number else points).random(1)[0]


def tpe_sampler(seed: int) -> TPESampler:
    """Build Optuna's TPE, which models conditional parameters together (`group`)."""
    return TPESampler(
        seed=seed, n_startup_trials=1, multivariate=True, group=True, constant_liar=True
    )


def gp_sampler(seed: int) -> GPSampler:
    """Build Optuna's Gaussian process, which models the parameters that all trials have.

    TPE proposes those that only some trials have.
    """
    return GPSampler(
        seed=seed,
        n_startup_trials=1,
        independent_sampler=tpe_sampler(seed),
        warn_independent_sampling=False,
    )


# Name in a space file -> builder. It takes the trial's seed, the keys, the study's seed and the
# trial's number.
SAMPLERS: dict[str, Callable[[int, Sequence[str], int, int], BaseSampler]] = {
    "tpe": lambda seed, *_: tpe_sampler(seed),
    "gp": lambda seed, *_: gp_sampler(seed),
    "nsga2": lambda seed, *_: NSGAIISampler(seed=seed, population_size=POPULATION),
    "nsga3": lambda seed, *_: NSGAIIISampler(seed=seed, population_size=POPULATION),
    "qmc": lambda _, keys, study_seed, number: SobolSampler(keys, study_seed, number),
    "random": lambda seed, *_: RandomSampler(seed=seed),
    # The points of a grid are fixed values; all other values are drawn at random.
    "grid": lambda seed, *_: RandomSampler(seed=seed),
}


def build_sampler(
    space: Space,
    name: str,
    parameters: Sequence[Parameter],
    seed: int,
    *,
    study_seed: int,
    number: int,
    fixed: Mapping[str, Any] | None = None,
    constraints_func: Violations | None = None,
    history: History | None = None,
) -> BaseSampler:
    """Build the sampler of one trial: its proposal depends on the history and these arguments only.

    seed: the trial's own. study_seed and number: the sequence that `qmc` follows, and the trial's
    place in it. fixed: values that are not drawn, for example a point of a `grid`. history: of the
    study, to be kept from trial to trial.

    Raises: KeyError if there is no such sampler.
    """
    builder = SAMPLERS[name]
    keys = [parameter.key for parameter in parameters]

    def build() -> BaseSampler:
        # TPE's `group` and NSGA-III have been experimental for years.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return builder(seed, keys, study_seed, number)

    return SpaceSampler(
        space,
        parameters,
        build,
        random.Random(seed),
        fixed or {},
        HISTORY.get(name),
        constraints_func,
        history or History(),
    )


class SpaceSampler(BaseSampler):
    """Draw a whole trial at once, with the sampler that `build` returns.

    Nothing forbidden is drawn, and `fixed` values are kept. A trial that was interrupted while its
    values were written is drawn again as it was. `limit` is the number of ended trials that the
    sampler learns from at most.
    """

    def __init__(
        self,
        space: Space,
        parameters: Sequence[Parameter],
        build: Callable[[], BaseSampler],
        rng: random.Random,
        fixed: Mapping[str, Any],
        limit: int | None,
        violations: Violations | None,
        history: History,
    ):
        self.space, self.parameters, self.build, self.rng = space, parameters, build, rng
        self.limit, self.violations, self.history = limit, violations, history
        self.inner = build()
        self.distributions = {parameter.key: distribution_of(parameter) for parameter in parameters}
        # 1 becomes 1.0 for a float, as it will be in the journal.
        self.fixed = {
            key: distribution.to_external_repr(distribution.to_internal_repr(fixed[key]))
            for key, distribution in self.distributions.items()
            if key in fixed
        }

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return all parameters: they are drawn together."""
        return self.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values of an allowed trial.

        They are forbidden only if the fixed values allow nothing else.
        """
        shown: Any = ShownStudy(study, self._learnable(study, trial))
        if isinstance(self.inner, BaseGASampler):
            # The first trial of a generation selects its parents, which uses random numbers. If a
            # kill interrupts that trial, its second draw finds them selected. So another sampler
            # selects, and the draw below is the same both times.
            selecting: Any = self.build()
            selecting.get_parent_population(shown, selecting.get_trial_generation(shown, trial))
        for _ in range(WHOLE_DRAWS):
            values = self._draw(shown, trial)
            if not self.space.forbids(values):
                return values
        for _ in range(LAST_DRAWS):
            values = self.space.sample(self._random_value, self.parameters)
            if not self.space.forbids(values):
                break
        return values

    def _random_value(self, parameter: Parameter) -> Any:
        """Return the fixed value of a parameter, or a random one."""
        if parameter.key in self.fixed:
            return self.fixed[parameter.key]
        return parameter.random_value(self.rng)

    def _draw(self, shown: Any, trial: FrozenTrial) -> dict[str, Any]:
        """Draw a trial with the inner sampler.

        A value that completes a forbidden combination is drawn again.
        """
        joint_space = {
            key: distribution
            for key, distribution in self.inner.infer_relative_search_space(shown, trial).items()
            if self.distributions.get(key) == distribution and key not in self.fixed
        }
        joint = self.inner.sample_relative(shown, trial, joint_space)
        drawn: dict[str, Any] = {}

        def pick(parameter: Parameter) -> Any:
            """Draw a value of one parameter, after those before it."""
            key, distribution = parameter.key, self.distributions[parameter.key]
            if key in self.fixed or distribution.single():
                drawn[key] = self.fixed.get(key, parameter.extremes()[0])
                return drawn[key]

            def independent() -> Any:
                return self.inner.sample_independent(shown, trial, key, distribution)

            drawn[key] = parameter.exact(joint[key] if key in joint else independent())
            for _ in range(DRAWS):
                if not self.space.forbids(drawn):
                    break
                drawn[key] = parameter.exact(independent())
            return drawn[key]

        return self.space.sample(pick, self.parameters)

    def _learnable(self, study: optuna.Study, trial: FrozenTrial) -> list[FrozenTrial]:
        """Return what the inner sampler can learn from, in the form that it understands."""
        if isinstance(self.inner, (RandomSampler, SobolSampler)):
            return []
        trials = self.history.shown(study, trial.number, self.limit, self.violations)
        if isinstance(self.inner, BaseGASampler):
            generation_key = self.inner._get_generation_key()
            parents_prefix = self.inner._get_parent_cache_key_prefix()
            trials = generations(study, trials, generation_key, parents_prefix)
        if isinstance(self.inner, GPSampler):
            trials = all_complete(trials)
        return trials if self.violations is None else with_constraints(trials, self.violations)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the inner sampler's value of a parameter that is inactive in this trial."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Do as the inner sampler."""
        self.inner.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Do as the inner sampler."""
        self.inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Do as the inner sampler."""
        self.inner.reseed_rng()


def shuffled_grid(space: Space, parameters: Sequence[Parameter], seed: int) -> list[dict[str, Any]]:
    """Return the points of the grid in an order drawn by the seed."""
    points = space.grid(parameters)
    random.Random(derive_seed(seed, "grid")).shuffle(points)
    return points


def grid_point(
    points: Sequence[Mapping[str, Any]], taken: Mapping[Key, int]
) -> dict[str, Any] | None:
    """Return the first of these points that is not taken; None if all are.

    taken: by `values_key` of a trial's values.
    """
    keys = {key for point in points for key in point}
    # A trial's values contain derived ones too, which no point of the grid has.
    run_before = {
        frozenset(item for item in values if item[0] in keys)
        for values, times in taken.items()
        if times
    }
    return next((dict(point) for point in points if values_key(point) not in run_before), None)
