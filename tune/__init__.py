"""The search: spaces, searcher, trials, study folders. Run from the checkout, not packaged."""

import os

# Ray reads these when it is imported or started, so they stand before anything else of the package; what the user has set stays.
for name, value in {
    "RAY_USAGE_STATS_ENABLED": "0",  # a researcher's machine reports nothing anywhere
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the study folder has its own files
    "TUNE_MAX_PENDING_TRIALS_PG": "1",  # ask for a trial when it can start, so that the model has seen all that ended
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}.items():
    os.environ.setdefault(name, value)
