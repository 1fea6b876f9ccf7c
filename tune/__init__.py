"""The search: spaces, searcher, trials, study folders. Run from the checkout, not packaged."""

import os
from pathlib import Path

# Ray and OpenMP read these when they are imported, so they are set first. What the user has set
# stays.
for name, value in {
    "RAY_USAGE_STATS_ENABLED": "0",  # a researcher's machine reports nothing anywhere
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study folder has its own files
    # Ask for a trial when it can start: by then the model has seen all that ended.
    "TUNE_MAX_PENDING_TRIALS_PG": "1",
    # Waiting threads sleep: spinning ones would starve the other trials of a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
}.items():
    os.environ.setdefault(name, value)

ROOT = Path(__file__).resolve().parent.parent
