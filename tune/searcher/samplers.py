"""Samplers by name, within the rules of a space: nothing forbidden, settled values kept, a history that does not grow without end."""

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

HISTORY = {
    "tpe": 500,
    "gp": 150,
}  # ended trials that a model is made from: the cost of a proposal grows with them
POPULATION = 16  # of a generation: studies have dozens of trials rather than thousands
WHOLE_DRAWS, DRAWS, LAST_DRAWS = (
    5,
    10,
    10_000,
)  # of a trial, of one value, of even ones, until nothing forbidden is in it


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
    """The sampler of one trial: what it proposes depends on the history and these arguments, and on nothing else.

    seed: the trial's own; study_seed and number: the sequence that `qmc` goes along, and the trial's place in it. A `grid`'s points
    come as `fixed`; chance proposes what they leave open. history: of the study, where one is read along with it.
    """
    keys = [parameter.key for parameter in parameters]
    return SpaceSampler(
        space,
        parameters,
        lambda: optuna_sampler(name, seed, keys, study_seed, number),
        random.Random(seed),
        fixed or {},
        HISTORY.get(name),
        constraints_func,
        history or History(),
    )


def optuna_sampler(
    name: str, seed: int, keys: Sequence[str], study_seed: int, number: int
) -> BaseSampler:
    """The sampler of that name, which knows nothing of the space's rules; RandomSampler for any other name."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", optuna.exceptions.ExperimentalWarning
        )  # TPE's `group` and NSGA-III are, since years
        tpe = TPESampler(
            seed=seed, n_startup_trials=1, multivariate=True, group=True, constant_liar=True
        )
        match name:
            case "tpe":
                return tpe
            case "gp":  # it models what all trials have; TPE proposes what only some have
                return GPSampler(
                    seed=seed,
                    n_startup_trials=1,
                    independent_sampler=tpe,
                    warn_independent_sampling=False,
                )
            case "nsga2":
                return NSGAIISampler(seed=seed, population_size=POPULATION)
            case "nsga3":
                return NSGAIIISampler(seed=seed, population_size=POPULATION)
            case "qmc":
                return SobolSampler(keys, study_seed, number)
            case _:
                return RandomSampler(seed=seed)


class SpaceSampler(BaseSampler):
    """Draws a whole trial at once as the sampler that `build` makes does, but nothing forbidden, and `fixed` values as they are.

    A trial that was cut off while its values were written down is drawn again as it was. `limit` bounds the history: the trials that ended.
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
        self.fixed = {
            key: held.to_external_repr(
                held.to_internal_repr(fixed[key])
            )  # 1 is 1.0 for a float, as it will be in the journal
            for key, held in self.distributions.items()
            if key in fixed
        }

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters: they are drawn together."""
        return self.distributions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values of an allowed trial. They are forbidden only where what is settled leaves nothing else."""
        shown: Any = ShownStudy(study, self._learnable(study, trial))
        if isinstance(self.inner, BaseGASampler):
            selecting: Any = self.build()  # so that the draw is the same where the parents were selected before the trial was cut off
            selecting.get_parent_population(shown, selecting.get_trial_generation(shown, trial))
        for _ in range(WHOLE_DRAWS):
            values = self._draw(shown, trial)
            if not self.space.forbids(values):
                return values
        for _ in range(LAST_DRAWS):
            values = self.space.sample(
                lambda each: (
                    self.fixed[each.key] if each.key in self.fixed else each.random_value(self.rng)
                ),
                self.parameters,
            )
            if not self.space.forbids(values):
                break
        return values

    def _draw(self, shown: Any, trial: FrozenTrial) -> dict[str, Any]:
        """A trial as the inner sampler draws it; a value that completes a forbidden combination is drawn again for a while."""
        asked = self.inner.infer_relative_search_space(shown, trial)
        joint = self.inner.sample_relative(
            shown,
            trial,
            {
                key: held
                for key, held in asked.items()
                if self.distributions.get(key) == held and key not in self.fixed
            },
        )
        drawn: dict[str, Any] = {}

        def pick(parameter: Parameter) -> Any:
            """A value of one parameter, after those before it."""
            key, held = parameter.key, self.distributions[parameter.key]
            if key in self.fixed or held.single():
                drawn[key] = self.fixed.get(key, parameter.extremes()[0])
                return drawn[key]
            drawn[key] = parameter.exact(
                joint[key]
                if key in joint
                else self.inner.sample_independent(shown, trial, key, held)
            )
            for _ in range(DRAWS):
                if not self.space.forbids(drawn):
                    break
                drawn[key] = parameter.exact(self.inner.sample_independent(shown, trial, key, held))
            return drawn[key]

        return self.space.sample(pick, self.parameters)

    def _learnable(self, study: optuna.Study, trial: FrozenTrial) -> list[FrozenTrial]:
        """What the inner sampler can learn from, in the form that it understands."""
        if isinstance(self.inner, (RandomSampler, SobolSampler)):
            return []
        trials = self.history.shown(study, trial.number, self.limit, self.violations)
        if isinstance(self.inner, BaseGASampler):
            trials = generations(
                study,
                trials,
                self.inner._get_generation_key(),
                self.inner._get_parent_cache_key_prefix(),
            )
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
        """The inner sampler's value, for a parameter that the trial's values leave inactive."""
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """As the inner sampler."""
        self.inner.before_trial(study, trial)

    def after_trial(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """As the inner sampler."""
        self.inner.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """As the inner sampler."""
        self.inner.reseed_rng()


def shuffled_grid(space: Space, parameters: Sequence[Parameter], seed: int) -> list[dict[str, Any]]:
    """The points of the grid in an order drawn by the seed."""
    points = space.grid(parameters)
    random.Random(derive_seed(seed, "grid")).shuffle(points)
    return points


def grid_point(
    points: Sequence[Mapping[str, Any]], taken: Mapping[Key, int]
) -> dict[str, Any] | None:
    """The first of these points that was not taken; None when all were. taken: by `values_key` of a trial's values."""
    keys = {key for point in points for key in point}
    told = {
        frozenset(item for item in values if item[0] in keys)
        for values, times in taken.items()
        if times
    }  # without what is derived
    return next((dict(point) for point in points if values_key(point) not in told), None)


class SobolSampler(BaseSampler):
    """The trial with a number n gets the nth point of the study's sequence, so that nothing has to be remembered.

    Inactive parameters have a coordinate too, which is not used. A parameter that is asked for again, as its value was forbidden, gets the
    nth value of another sequence.
    Source: scrambled Sobol sequences (Owen 1998, "Scrambling Sobol' and Niederreiter-Xing points"), by SciPy. Differs from Optuna's
    QMCSampler, which counts its points in the study and gives conditional parameters random values.
    """

    def __init__(self, keys: Sequence[str], study_seed: int, number: int):
        self.keys, self.study_seed, self.number = list(keys), study_seed, number
        self.asked: Counter[str] = Counter()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """None: each parameter has its own coordinate."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value at the parameter's coordinate."""
        share = self.point(self.asked[param_name])[self.keys.index(param_name)]
        self.asked[param_name] += 1
        if isinstance(param_distribution, CategoricalDistribution):
            return param_distribution.choices[int(share * len(param_distribution.choices))]
        return _SearchSpaceTransform(
            {param_name: param_distribution}, transform_0_1=True
        ).untransform(np.array([share]))[param_name]

    def point(self, sequence: int) -> np.ndarray:
        """The trial's point in one of the study's sequences. Shape: (parameters,), each in [0, 1)."""
        from scipy.stats.qmc import Sobol

        drawn = Sobol(
            len(self.keys), scramble=True, seed=derive_seed(self.study_seed, "sobol", sequence)
        )
        return (drawn.fast_forward(self.number) if self.number else drawn).random(1)[0]
