"""Training of text encoder and heads on clean lines, before the generator trains.

So "contrast does not help" and "the matcher never learned" can be told apart.
"""

from __future__ import annotations

import torch

from ganhtr.data.batches import LineBatches, step_indices
from ganhtr.models.matcher import Matcher
from ganhtr.models.recognizer import LineRecognizer
from ganhtr.seeds import derive_seed
from ganhtr.train.contrast import level_shares
from ganhtr.train.finite import PRETRAINING, StepValues
from ganhtr.train.matcher_update import update_matcher
from ganhtr.train.state import TrainState
from ganhtr.train.view import target_levels, with_clean_taps


def pretrain_matcher(
    state: TrainState, matcher: Matcher, guide: LineRecognizer, lines: LineBatches
) -> None:
    """Update the matcher `contrastive.pretrain` times with clean lines in place of restored ones.

    `matcher.pretrain_top1` becomes the mean retrieval top-1 of the last tenth of the updates.
    Lines, dropout and edited texts follow from the seed alone. Learning rates are not scheduled.
    Raises: Diverged if a loss or gradient is not finite.
    """
    contrastive, train = state.config.contrastive, state.config.train
    names = level_shares(contrastive)
    seed = derive_seed(train.seed, "pretraining")
    steps = StepValues(PRETRAINING, contrastive.pretrain)
    for step in range(contrastive.pretrain):
        torch.manual_seed(derive_seed(seed, "dropout", step))
        batch = lines.take(step_indices(len(lines), train.batch_size, step, seed))
        parts = with_clean_taps(guide, [batch])
        clean = target_levels(guide, parts, "clean", names)
        _, values = update_matcher(state, matcher, guide, batch, parts, [clean], step, step)
        steps.add(values)
    last_tenth = steps.checked["retrieval_top1"][-max(1, contrastive.pretrain // 10) :]
    matcher.pretrain_top1.fill_(sum(last_tenth) / len(last_tenth))
