"""The search: spaces, searcher, trials, study folders. Run from the checkout, not packaged."""

import os
from pathlib import Path

# Ray and OpenMP read these when they are imported or started, so they stand before all else; what the user has set stays.
for name, value in {
    "RAY_USAGE_STATS_ENABLED": "0",  # a researcher's machine reports nothing anywhere
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study folder has its own files
    "TUNE_MAX_PENDING_TRIALS_PG": "1",  # ask for a trial when it can start, so that the model has seen all that ended
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait sleep: spinning ones starve their neighbours when a machine is busy
}.items():
    os.environ.setdefault(name, value)

ROOT = Path(__file__).resolve().parent.parent
