"""Optuna's ask and tell behind Ray Tune."""
