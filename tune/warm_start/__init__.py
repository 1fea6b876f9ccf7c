"""Learning from earlier studies and foreign storages."""
