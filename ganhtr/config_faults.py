"""Faults that only several keys of a configuration together have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganhtr.config_sections import STRIDES


def joint_faults(values: Mapping[str, Any]) -> list[str]:
    """What is wrong with these values, each of which is right by itself; a line each."""
    faults = []
    step = 2 ** values["generator.levels"]
    for key in ("data.height", "data.width"):
        if values[key] % step:
            faults.append(
                f"{key} must be a multiple of {step} (2 to the power of generator.levels), got {values[key]}"
            )
    for section in ("guide", "judge"):
        stride = STRIDES[values[f"{section}.kind"]]
        if values["data.width"] % stride:
            faults.append(
                f"data.width must be a multiple of {stride} (pixels a frame of {section}.kind), got {values['data.width']}"
            )
        if (
            values[f"{section}.kind"] == "transformer"
            and values[f"{section}.dim"] % values[f"{section}.heads"]
        ):
            faults.append(
                f"{section}.dim must be a multiple of {section}.heads, got {values[f'{section}.dim']}"
            )
    if not any(values[f"loss.{name}"] for name in ("pixel", "feature", "ctc", "adversarial")):
        faults.append(
            "loss.pixel must be above 0 when feature, ctc and adversarial are 0 too: the generator would learn nothing. "
            "Raise one of them"
        )
    batch, micro = values["train.batch_size"], values["train.micro_batch"]
    if micro and micro < batch and batch % micro:
        faults.append(
            f"train.batch_size must be a multiple of train.micro_batch, for its parts to be of one size; got {batch} and {micro}"
        )
    faults += _contrastive_faults(values)
    return faults


def _contrastive_faults(values: Mapping[str, Any]) -> list[str]:
    """Knobs of the contrastive loss that mean nothing together."""
    formulation, faults = values["contrastive.formulation"], []
    if formulation == "none":
        return []
    if formulation in ("ratio", "frame", "vicreg"):  # these look at no transcription
        for key, usual in (
            ("contrastive.shuffled", False),
            ("contrastive.queue", 0),
            ("contrastive.pooling", "mean"),
        ):
            if values[key] != usual:
                faults.append(
                    f"{key} must be {usual} with contrastive.formulation {formulation}, which compares frames and not texts; "
                    f"got {values[key]}"
                )
        allowed = ("batch", "degraded") if formulation == "frame" else ("batch",)
        if values["contrastive.negatives"] not in allowed:
            faults.append(
                f"contrastive.negatives must be {' or '.join(allowed)} with contrastive.formulation {formulation}, got "
                f"{values['contrastive.negatives']}"
            )
    elif values["train.batch_size"] < 2:
        faults.append(
            "train.batch_size must be at least 2 for a contrastive loss, which compares lines of a batch; "
            "got 1. Raise it, or set contrastive.formulation to none"
        )
    if values["contrastive.anchor"] == "all":
        if values["head.kind"] == "none" and formulation not in ("ratio", "frame", "vicreg"):
            faults.append(
                "head.kind must not be none with contrastive.anchor all, whose levels are of different widths. Take linear"
            )
        if values["head.shared"]:
            faults.append(
                "head.shared must be false with contrastive.anchor all, whose levels are of different widths"
            )
        if not any(values[f"contrastive.{level}_weight"] for level in ("cnn", "proj", "encoder")):
            faults.append(
                "contrastive.proj_weight must be above 0 when cnn_weight and encoder_weight are 0 too. Raise one of them"
            )
    return faults
