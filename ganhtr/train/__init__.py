"""Training of a trial: state, step, evaluation, loop and checkpoints."""
