"""Training: state, step, evaluation, loop, checkpoints, readers."""
