"""Reads each trial of a growing study once: what is asked for at every step must not cost more, the longer a study is."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial


class TrialLog:
    """The trials of a study as they go on: each that ended is handed out once, those that have not every time."""

    def __init__(self) -> None:
        self.read, self.open = 0, list[int]()  # trials read so far; ids of those that had not ended then

    def news(self, study: Study) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
        """Trials that ended since the last call, and trials that have not ended."""
        storage = study._storage
        new = [storage.get_trial(each) for each in self.open]
        while True:
            try:
                new.append(storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study._study_id, self.read)))
            except KeyError:
                break
            self.read += 1
        going = [trial for trial in new if not trial.state.is_finished()]
        self.open = [trial._trial_id for trial in going]
        return [trial for trial in new if trial.state.is_finished()], going
