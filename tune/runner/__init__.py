"""Ray: trials, workers, cluster, confirmation; and the single trial without it."""
