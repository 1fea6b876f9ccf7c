"""Faults of combinations of keys, each of which is valid by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ganhtr.config_sections import FRAME_LOSSES, STRIDES


def joint_faults(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults of the values together, one line each."""
    yield from _size_faults(values)
    if not any(values[f"loss.{name}"] for name in ("pixel", "feature", "ctc", "adversarial")):
        yield (
            "loss.pixel, loss.feature, loss.ctc and loss.adversarial are all 0, so the generator "
            "would learn nothing. Raise one of them"
        )
    batch, micro = values["train.batch_size"], values["train.micro_batch"]
    if micro and micro < batch and batch % micro:
        yield (
            "train.batch_size must be a multiple of train.micro_batch, so that all parts have the "
            f"same size, got {batch} and {micro}"
        )
    formulation = values["contrastive.formulation"]
    if formulation in FRAME_LOSSES:
        yield from _frame_loss_faults(values)
    elif formulation != "none" and batch < 2:
        yield (
            "train.batch_size must be at least 2 for a contrastive loss, which compares the lines "
            f"of a batch, got {batch}. Raise it, or set contrastive.formulation to none"
        )
    elif (
        formulation != "none"
        and values["contrastive.frozen"]
        and not values["contrastive.pretrain"]
    ):
        yield (
            "contrastive.frozen needs a matcher that was trained before. Set contrastive.pretrain "
            "to a number of updates"
        )
    if formulation != "none" and values["contrastive.anchor"] == "all":
        yield from _level_faults(values)


def _size_faults(values: Mapping[str, Any]) -> Iterator[str]:
    """Line sizes that a network cannot divide."""
    step = 2 ** values["generator.levels"]
    for key in ("data.height", "data.width"):
        if values[key] % step:
            yield (
                f"{key} must be a multiple of {step} (2 to the power of generator.levels), "
                f"got {values[key]}"
            )
    for section in ("guide", "judge"):
        kind, width = values[f"{section}.kind"], values["data.width"]
        if width % STRIDES[kind]:
            yield (
                f"data.width must be a multiple of {STRIDES[kind]} (the pixels per frame of "
                f"{section}.kind {kind}), got {width}"
            )
        if 0 < values[f"{section}.height"] < 16:
            yield f"{section}.height must be 0 or at least 16, got {values[f'{section}.height']}"
        dim = values[f"{section}.dim"]
        if kind == "transformer" and dim % values[f"{section}.heads"]:
            yield f"{section}.dim must be a multiple of {section}.heads, got {dim}"


def _frame_loss_faults(values: Mapping[str, Any]) -> Iterator[str]:
    """Settings that only a loss with transcriptions has."""
    formulation = values["contrastive.formulation"]
    line_settings = {
        "shuffled": False,
        "queue": 0,
        "pooling": "mean",
        "pretrain": 0,
        "frozen": False,
    }
    for key, default in line_settings.items():
        value = values[f"contrastive.{key}"]
        if value != default:
            yield (
                f"contrastive.{key} must be {str(default).lower()} with contrastive.formulation "
                f"{formulation}, which does not compare texts, got {str(value).lower()}"
            )
    allowed = ("batch", "degraded") if formulation == "frame" else ("batch",)
    negatives = values["contrastive.negatives"]
    if negatives not in allowed:
        yield (
            f"contrastive.negatives must be {' or '.join(allowed)} with contrastive.formulation "
            f"{formulation}, got {negatives}"
        )


def _level_faults(values: Mapping[str, Any]) -> Iterator[str]:
    """Settings that do not suit several feature levels."""
    reason = "with contrastive.anchor all, because the levels have different widths"
    if values["head.kind"] == "none" and values["contrastive.formulation"] not in FRAME_LOSSES:
        yield f"head.kind must not be none {reason}. Use linear"
    if values["head.shared"]:
        yield f"head.shared must be false {reason}"
    if not any(values[f"contrastive.{level}_weight"] for level in ("cnn", "proj", "encoder")):
        yield (
            "contrastive.cnn_weight, proj_weight and encoder_weight are all 0. Raise one of them"
        )
