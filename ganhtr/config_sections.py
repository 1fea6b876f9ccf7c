"""The sections of a configuration: default, rule and meaning of every key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STRIDES = {"crnn": 4, "transformer": 8}  # recognizer kind -> pixels per frame
# contrastive losses that compare lines with transcriptions, and frames with frames
LINE_LOSSES = ("infonce", "clip", "dcl", "siglip", "triplet", "supcon")
FRAME_LOSSES = ("ratio", "frame", "vicreg")


def _key(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple = (),
) -> Any:
    """A dataclass field with its rule: bounds (both inclusive) or choices."""
    return field(
        default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices}
    )


@dataclass(frozen=True)
class DataConfig:
    """Size and source of the line images. Shared by all trials of a study."""

    height: int = _key(32, "line height in pixels", low=16, high=512)
    width: int = _key(
        256, "largest line width in pixels; wider lines are squeezed", low=32, high=4096
    )
    degradation: float = _key(
        1.0, "strength of the synthetic degradations; 0 leaves lines unchanged", low=0, high=3
    )
    lines: int = _key(3200, "number of training lines (built-in data only)", low=16, high=200_000)
    seed: int = _key(0, "seed of the built-in lines, the degradations and the splits", low=0)
    epoch_lines: int = _key(
        64,
        "search-validation lines that each epoch is measured on, evenly spaced (0: all); the kept "
        "weights of a trial are measured on all of them at its end",
        low=0,
        high=1_000_000,
    )
    recognizer_share: float = _key(
        0.5,
        "share of the training lines, in whole groups, that only guide and judge are trained on; "
        "the generator is trained on the others (the built-in data has lines for each)",
        low=0,
        high=0.9,
    )


@dataclass(frozen=True)
class GeneratorConfig:
    """The U-Net that restores a line."""

    kind: str = _key(
        "plain",
        "blocks of the U-Net: plain, with residual connections, or with attention gates on the "
        "skip connections",
        choices=("plain", "residual", "attention"),
    )
    base: int = _key(8, "channels of the first level; each level doubles them", low=1, high=512)
    levels: int = _key(4, "number of times the resolution is halved", low=1, high=6)
    bn_momentum: float = _key(
        0.1, "weight of the current batch in batch norm's running statistics", low=0.001, high=1
    )
    checkpointing: bool = _key(
        False,
        "recompute activations in the backward pass instead of storing them: less memory, "
        "more time",
    )


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The discriminator of line images with their texts."""

    base: int = _key(
        8, "channels of the first convolution; doubled by each of the next three", low=1, high=512
    )
    hidden: int = _key(
        64, "width of the first dense layer; the second has half of it", low=2, high=4096
    )
    embedding: int = _key(32, "size of a character's embedding", low=1, high=1024)
    text_hidden: int = _key(32, "width of the text LSTM", low=1, high=1024)


@dataclass(frozen=True)
class RecognizerConfig:
    """A line recognizer. Shared by all trials of a study."""

    kind: str = _key("crnn", "architecture", choices=tuple(STRIDES))
    base: int = _key(16, "channels of the first convolution", low=1, high=512)
    dim: int = _key(
        96, "width of each LSTM direction (crnn) or of the transformer", low=2, high=4096
    )
    layers: int = _key(2, "number of LSTM (crnn) or transformer layers", low=1, high=24)
    heads: int = _key(8, "attention heads (transformer)", low=1, high=64)
    height: int = _key(
        0,
        "height in pixels to which the lines are scaled (crnn); 0 is data.height",
        low=0,
        high=512,
    )
    dropout: float = _key(0.1, "dropout while the recognizer is trained", low=0, high=0.9)
    seed: int = _key(1, "seed of the recognizer's initial weights and its training", low=0)
    weights: str = _key(
        "",
        "file of a trained recognizer (python -m ganhtr recognizer train); empty: use the shipped "
        "or cached recognizer, or train one",
    )


@dataclass(frozen=True)
class RecognizerTrainingConfig:
    """Training of a recognizer on the clean training lines. Shared by all trials of a study."""

    epochs: int = _key(12, "passes over the training lines", low=1, high=10_000)
    batch_size: int = _key(16, "lines per step", low=1, high=1024)
    lr: float = _key(0.002, "peak learning rate of the one-cycle schedule (Adam)", low=1e-7, high=1)


@dataclass(frozen=True)
class TextEncoderConfig:
    """The BiLSTM over the transcription. Only the contrastive loss trains it."""

    embedding: int = _key(64, "size of a character's embedding", low=1, high=1024)
    dropout: float = _key(0.1, "dropout on the character embeddings", low=0, high=0.9)


@dataclass(frozen=True)
class ContrastiveConfig:
    """The contrastive loss: restored lines with transcriptions, or restored with clean frames."""

    formulation: str = _key(
        "infonce", "the loss; none is OFF", choices=("none", *LINE_LOSSES, *FRAME_LOSSES)
    )
    weight: float = _key(
        1.0, "weight in the generator's loss; 0 means that it is not computed", low=0, high=1e4
    )
    temperature: float = _key(
        0.1,
        "softmax temperature; where it is learned (clip, siglip), its initial value",
        low=0.01,
        high=10,
    )
    symmetric: bool = _key(
        False,
        "infonce, dcl, triplet, supcon: add the direction from text to image (clip and siglip "
        "always include it)",
    )
    learned_temperature: bool = _key(
        False, "infonce, dcl, supcon: learn the temperature (clip and siglip always do)"
    )
    margin: float = _key(
        0.2,
        "triplet: margin in cosine by which the line's text must be nearer than the negative",
        low=0,
        high=2,
    )
    mining: str = _key(
        "hardest",
        "triplet: choice of the negative; semi_hard uses the hardest where none is semi-hard",
        choices=("hardest", "semi_hard"),
    )
    anchor: str = _key(
        "proj",
        "features of the guide that are compared: its last convolutions (proj), earlier ones "
        "(cnn), its recurrent or transformer layers (encoder), or a weighted sum of all (all)",
        choices=("proj", "cnn", "encoder", "all"),
    )
    cnn_weight: float = _key(
        1.0,
        "relative weight of the cnn features (anchor all); the three weights are scaled to a "
        "sum of 1",
        low=0,
        high=1e3,
    )
    proj_weight: float = _key(
        1.0, "relative weight of the proj features (anchor all)", low=0, high=1e3
    )
    encoder_weight: float = _key(
        1.0, "relative weight of the encoder features (anchor all)", low=0, high=1e3
    )
    pooling: str = _key(
        "mean",
        "from frames to vectors: the mean, learned attention, or the mean of each window",
        choices=("mean", "attention", "window"),
    )
    windows: int = _key(4, "windows per line (pooling window)", low=2, high=64)
    negatives: str = _key(
        "batch",
        "negatives: the other texts of the batch; degraded adds the degraded lines; edited adds "
        "the transcriptions with a few wrong characters (frame: the other frames of the line; "
        "degraded adds the degraded frame)",
        choices=("batch", "degraded", "edited"),
    )
    queue: int = _key(
        0,
        "texts of earlier batches kept as negatives, encoded by a momentum copy of the text "
        "encoder; they and the batch's keys make up one half of the loss, the batch the other",
        low=0,
        high=65_536,
    )
    key_momentum: float = _key(
        0.999, "momentum of the text encoder's copy for the queue", low=0, high=1
    )
    pretrain: int = _key(
        0,
        "updates of text encoder and heads on clean lines before the first epoch",
        low=0,
        high=1_000_000,
    )
    frozen: bool = _key(False, "leave text encoder and heads as pretraining made them")
    shuffled: bool = _key(
        False, "control arm: pair each line with the transcription of another line of its batch"
    )

    @property
    def instances(self) -> int:
        """Vectors per line that are compared: one, or one per window."""
        return self.windows if self.pooling == "window" else 1


@dataclass(frozen=True)
class HeadConfig:
    """The projection heads, from features to the vectors that are compared."""

    kind: str = _key(
        "mlp",
        "no head, a linear layer, a perceptron (mlp), a perceptron with batch norm (mlp_bn), or "
        "residual blocks",
        choices=("none", "linear", "mlp", "mlp_bn", "residual"),
    )
    dim: int = _key(128, "size of the projected vectors (all kinds but none)", low=2, high=4096)
    layers: int = _key(1, "hidden layers or residual blocks (mlp, mlp_bn, residual)", low=1, high=6)
    width: int = _key(256, "width of the hidden layers (mlp, mlp_bn, residual)", low=2, high=8192)
    shared: bool = _key(False, "use one head for images and texts instead of one for each")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the other terms of the generator's loss."""

    pixel: float = _key(200.0, "weight of the L1 distance to the clean line", low=0, high=1e6)
    feature: float = _key(
        5.0, "weight of the squared distance of the guide's features", low=0, high=1e6
    )
    ctc: float = _key(1.0, "weight of the guide's CTC loss (nats per line)", low=0, high=1e6)
    adversarial: float = _key(3.0, "weight of the adversarial loss", low=0, high=1e6)


@dataclass(frozen=True)
class AugmentConfig:
    """New degradations during training. Other splits keep their degraded images."""

    fresh: float = _key(
        0.0,
        "share of the lines of a step that get a new degraded image instead of that of the data",
        low=0,
        high=1,
    )
    strategy: str = _key(
        "all",
        "degradations that are applied: all, or only those of the ink, the paper or the camera",
        choices=("all", "ink", "paper", "camera"),
    )
    strength: float = _key(1.0, "strength of the new degradations", low=0, high=3)


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation of a trial."""

    seed: int = _key(0, "seed of the trial: initial weights, order of the lines, dropout", low=0)
    epochs: int = _key(20, "epochs of a trial", low=1, high=100_000)
    steps_per_epoch: int = _key(20, "generator updates per epoch", low=1, high=1_000_000)
    batch_size: int = _key(8, "lines per step", low=1, high=4096)
    micro_batch: int = _key(
        0,
        "lines processed at a time, to save memory (gradient accumulation); 0 is the whole batch",
        low=0,
        high=4096,
    )
    schedule: str = _key(
        "constant",
        "learning rates over the epochs; plateau halves them after 3 epochs without a better PSNR",
        choices=("constant", "cosine", "plateau"),
    )
    warmup_epochs: float = _key(
        0.0, "epochs of linear warm-up of the learning rates", low=0, high=1000
    )
    generator_lr: float = _key(0.005, "learning rate of the generator (Adam)", low=1e-7, high=1)
    ema: float = _key(
        0.99,
        "decay of the moving average of the generator's weights, which is evaluated and kept "
        "instead of the last weights; 0 keeps the last weights",
        low=0,
        high=0.9999,
    )
    generator_beta1: float = _key(0.5, "beta1 of the generator's Adam", low=0, high=0.999)
    discriminator_optimizer: str = _key(
        "adam", "optimiser of the discriminator", choices=("adam", "sgd")
    )
    discriminator_lr: float = _key(0.0005, "learning rate of the discriminator", low=1e-8, high=1)
    discriminator_text: str = _key(
        "ground_truth",
        "text shown to the discriminator: the transcription, or the guide's reading of each image",
        choices=("ground_truth", "predicted"),
    )
    contrastive_lr: float = _key(
        0.001, "learning rate of text encoder, heads and temperature (Adam)", low=1e-7, high=1
    )
    clip_norm: float = _key(
        1.0,
        "largest gradient norm of the generator and of the discriminator; nearly every step is "
        "above 1, so its gradient is normalised, which trains better than a higher limit",
        low=1e-6,
        high=1e6,
    )
    contrastive_clip_norm: float = _key(
        1.0, "largest gradient norm of text encoder, heads and temperature", low=1e-6, high=1e6
    )
    measure: str = _key(
        "epoch",
        "when the costly diagnostics are measured (ratio of the contrastive to the pixel gradient, "
        "accuracy of the discriminator on swapped images): at the first step of each epoch, at "
        "every step, or never",
        choices=("never", "epoch", "step"),
    )
