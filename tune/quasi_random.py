"""Trials spread evenly: the points of a Sobol sequence, with a coordinate for each parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from ganhtr.seeds import derive_seed


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

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: each parameter has its own coordinate."""
        return {}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """The value at the parameter's coordinate."""
        share = self.point(self.asked[param_name])[self.keys.index(param_name)]
        self.asked[param_name] += 1
        if isinstance(param_distribution, CategoricalDistribution):
            return param_distribution.choices[int(share * len(param_distribution.choices))]
        return _SearchSpaceTransform({param_name: param_distribution}, transform_0_1=True).untransform(np.array([share]))[param_name]

    def point(self, sequence: int) -> np.ndarray:
        """The trial's point in one of the study's sequences. Shape: (parameters,), each in [0, 1)."""
        from scipy.stats.qmc import Sobol

        drawn = Sobol(len(self.keys), scramble=True, seed=derive_seed(self.study_seed, "sobol", sequence))
        return (drawn.fast_forward(self.number) if self.number else drawn).random(1)[0]
