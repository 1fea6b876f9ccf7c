"""Faults of combinations of keys, each of which is valid by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganhtr.config_sections import FRAME_LOSSES, STRIDES


def joint_faults(values: Mapping[str, Any]) -> list[str]:
    """Return the faults of the values together, one line each."""
    return [
        *_size_faults(values),
        *_training_faults(values),
        *_contrastive_faults(values),
    ]


def _size_faults(values: Mapping[str, Any]) -> list[str]:
    """Line sizes that a network cannot divide."""
    faults = []
    step = 2 ** values["generator.levels"]
    for key in ("data.height", "data.width"):
        if values[key] % step:
            faults.append(
                f"{key} must be a multiple of {step} (2 to the power of generator.levels), "
                f"got {values[key]}"
            )
    for section in ("guide", "judge"):
        kind, width = values[f"{section}.kind"], values["data.width"]
        if width % STRIDES[kind]:
            faults.append(
                f"data.width must be a multiple of {STRIDES[kind]} (the pixels per frame of "
                f"{section}.kind {kind}), got {width}"
            )
        dim = values[f"{section}.dim"]
        if kind == "transformer" and dim % values[f"{section}.heads"]:
            faults.append(f"{section}.dim must be a multiple of {section}.heads, got {dim}")
    return faults


def _training_faults(values: Mapping[str, Any]) -> list[str]:
    faults = []
    if not any(values[f"loss.{name}"] for name in ("pixel", "feature", "ctc", "adversarial")):
        faults.append(
            "loss.pixel, loss.feature, loss.ctc and loss.adversarial are all 0, so the generator "
            "would learn nothing. Raise one of them"
        )
    batch, micro = values["train.batch_size"], values["train.micro_batch"]
    if micro and micro < batch and batch % micro:
        faults.append(
            "train.batch_size must be a multiple of train.micro_batch, so that all parts have the "
            f"same size, got {batch} and {micro}"
        )
    return faults


def _contrastive_faults(values: Mapping[str, Any]) -> list[str]:
    """Settings of the contrastive loss that have no meaning together."""
    formulation = values["contrastive.formulation"]
    if formulation == "none":
        return []
    faults = []
    if formulation in FRAME_LOSSES:
        faults += _frame_loss_faults(values)
    elif values["train.batch_size"] < 2:
        faults.append(
            "train.batch_size must be at least 2 for a contrastive loss, which compares the lines "
            "of a batch, got 1. Raise it, or set contrastive.formulation to none"
        )
    if values["contrastive.anchor"] == "all":
        if values["head.kind"] == "none" and formulation not in FRAME_LOSSES:
            faults.append(
                "head.kind must not be none with contrastive.anchor all, because the levels have "
                "different widths. Use linear"
            )
        if values["head.shared"]:
            faults.append(
                "head.shared must be false with contrastive.anchor all, because the levels have "
                "different widths"
            )
        if not any(values[f"contrastive.{level}_weight"] for level in ("cnn", "proj", "encoder")):
            faults.append(
                "contrastive.cnn_weight, proj_weight and encoder_weight are all 0. "
                "Raise one of them"
            )
    return faults


def _frame_loss_faults(values: Mapping[str, Any]) -> list[str]:
    """Settings that only a loss with transcriptions has."""
    formulation, faults = values["contrastive.formulation"], []
    for key, default in (("shuffled", False), ("queue", 0), ("pooling", "mean")):
        value = values[f"contrastive.{key}"]
        if value != default:
            faults.append(
                f"contrastive.{key} must be {str(default).lower()} with contrastive.formulation "
                f"{formulation}, which does not compare texts, got {str(value).lower()}"
            )
    allowed = ("batch", "degraded") if formulation == "frame" else ("batch",)
    negatives = values["contrastive.negatives"]
    if negatives not in allowed:
        faults.append(
            f"contrastive.negatives must be {' or '.join(allowed)} with contrastive.formulation "
            f"{formulation}, got {negatives}"
        )
    return faults
