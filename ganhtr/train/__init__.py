"""Training: state, step, evaluation, loop, checkpoints, recognizers."""
