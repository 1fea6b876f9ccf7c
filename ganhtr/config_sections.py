"""The sections of a configuration: frozen dataclasses that hold every default, with the rule and the meaning of each field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _rule(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple = (),
) -> Any:
    return field(
        default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices}
    )


@dataclass(frozen=True)
class DataConfig:
    """What the lines look like. Shared by all trials of a study."""

    height: int = _rule(32, "line height in pixels", low=16, high=512)
    width: int = _rule(256, "widest line in pixels; wider ones are squeezed", low=32, high=4096)
    degradation: float = _rule(
        1.0, "strength of the made degradations; 0 leaves the line as it is", low=0, high=3
    )
    lines: int = _rule(3200, "synthetic training lines (built-in data only)", low=16, high=200_000)
    seed: int = _rule(0, "seed of the synthetic lines, of the degradations and of the split", low=0)


@dataclass(frozen=True)
class GeneratorConfig:
    """U-Net that restores a line."""

    kind: str = _rule(
        "plain",
        "blocks of the U-Net: plain, with residual connections, or with attention gates on the skips",
        choices=("plain", "residual", "attention"),
    )
    base: int = _rule(8, "channels of the first level; doubled at each level", low=1, high=512)
    levels: int = _rule(4, "times the resolution is halved", low=1, high=6)
    bn_momentum: float = _rule(
        0.1, "share of a batch in batch norm's running statistics", low=0.001, high=1
    )
    checkpointing: bool = _rule(
        False,
        "compute activations again in the backward pass instead of keeping them: less memory, more time",
    )


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Judges a line image together with its text."""

    base: int = _rule(8, "channels of the first convolution; doubled three times", low=1, high=512)
    hidden: int = _rule(64, "width of the first dense layer; the second has half", low=2, high=4096)
    embedding: int = _rule(32, "width of a character's embedding", low=1, high=1024)
    text_hidden: int = _rule(32, "width of the text LSTM", low=1, high=1024)


STRIDES = {"crnn": 4, "transformer": 8}  # pixels a frame of a recognizer, by its kind


@dataclass(frozen=True)
class RecognizerConfig:
    """A line recognizer. Shared by all trials of a study."""

    kind: str = _rule("crnn", "architecture", choices=tuple(STRIDES))
    base: int = _rule(16, "channels of the first convolution", low=1, high=512)
    dim: int = _rule(96, "width of an LSTM direction, or of the transformer", low=2, high=4096)
    layers: int = _rule(2, "recurrent or transformer layers", low=1, high=24)
    heads: int = _rule(8, "attention heads (transformer)", low=1, high=64)
    dropout: float = _rule(0.1, "dropout while the recognizer itself trains", low=0, high=0.9)
    seed: int = _rule(1, "seed of the recognizer's weights and of its training", low=0)
    weights: str = _rule(
        "",
        "file of a trained recognizer (python -m ganhtr recognizer train); empty: train or take from the cache",
    )


@dataclass(frozen=True)
class RecognizerTrainingConfig:
    """How a recognizer is trained on clean training lines. Shared by all trials of a study."""

    epochs: int = _rule(12, "passes over the training lines", low=1, high=10_000)
    batch_size: int = _rule(16, "lines a step", low=1, high=1024)
    lr: float = _rule(
        0.002, "highest learning rate of the one-cycle schedule (Adam)", low=1e-7, high=1
    )


@dataclass(frozen=True)
class TextEncoderConfig:
    """BiLSTM over the transcription, trained with the contrastive loss alone."""

    embedding: int = _rule(64, "width of a character's embedding", low=1, high=1024)
    dropout: float = _rule(0.1, "dropout on the embedded characters", low=0, high=0.9)


@dataclass(frozen=True)
class ContrastiveConfig:
    """The contrastive loss: restored image against transcription, or its frames against those of the clean and the degraded line."""

    formulation: str = _rule(
        "infonce",
        "the loss; none is OFF",
        choices=(
            "none",
            "infonce",
            "clip",
            "dcl",
            "siglip",
            "triplet",
            "supcon",
            "ratio",
            "frame",
            "vicreg",
        ),
    )
    weight: float = _rule(
        1.0, "weight in the generator's total; 0 leaves the term out of the update", low=0, high=1e4
    )
    temperature: float = _rule(
        0.1, "softmax temperature (clip, siglip: where the learned one starts)", low=0.01, high=10
    )
    symmetric: bool = _rule(
        False, "infonce, dcl, triplet, supcon: also text to image (clip and siglip always do)"
    )
    learned_temperature: bool = _rule(
        False, "infonce, dcl, supcon: learn the temperature (clip and siglip always do)"
    )
    margin: float = _rule(
        0.2, "triplet: by how much the own text must be nearer, in cosine", low=0, high=2
    )
    mining: str = _rule(
        "hardest",
        "triplet: which negative counts; semi_hard falls back to the hardest",
        choices=("hardest", "semi_hard"),
    )
    anchor: str = _rule(
        "proj",
        "features of the guide that are compared: its last convolutions (proj), earlier ones (cnn), behind its "
        "recurrent or transformer layers (encoder), or all three weighted (all)",
        choices=("proj", "cnn", "encoder", "all"),
    )
    cnn_weight: float = _rule(
        1.0,
        "share of the cnn features (anchor all); the three shares are scaled to a sum of 1",
        low=0,
        high=1e3,
    )
    proj_weight: float = _rule(1.0, "share of the proj features (anchor all)", low=0, high=1e3)
    encoder_weight: float = _rule(
        1.0, "share of the encoder features (anchor all)", low=0, high=1e3
    )
    pooling: str = _rule(
        "mean",
        "from frames to the compared vectors: one mean, one learned attention, or means of windows",
        choices=("mean", "attention", "window"),
    )
    windows: int = _rule(4, "windows a line (pooling window)", low=2, high=64)
    negatives: str = _rule(
        "batch",
        "what the own text is told from: the texts of the batch; also the line's degraded twin; also its "
        "transcription with an edit (frame: the line's other frames; also the degraded twin's frame)",
        choices=("batch", "degraded", "edited"),
    )
    queue: int = _rule(
        0,
        "texts of earlier batches kept as further negatives, encoded by a slow copy of the text side",
        low=0,
        high=65_536,
    )
    key_momentum: float = _rule(
        0.999, "share of the old weights that the slow copy keeps at each step", low=0, high=1
    )
    shuffled: bool = _rule(
        False, "control arm: each line is given the transcription of another line of its batch"
    )


@dataclass(frozen=True)
class HeadConfig:
    """Projection heads, from features to the compared vectors."""

    kind: str = _rule(
        "mlp",
        "none, one linear map, a perceptron, one with batch norm, or one of residual blocks",
        choices=("none", "linear", "mlp", "mlp_bn", "residual"),
    )
    dim: int = _rule(128, "size of the compared vectors (all but none)", low=2, high=4096)
    layers: int = _rule(
        1, "hidden layers or residual blocks (mlp, mlp_bn, residual)", low=1, high=6
    )
    width: int = _rule(256, "width of the hidden layers (mlp, mlp_bn, residual)", low=2, high=8192)
    shared: bool = _rule(False, "one head for images and texts instead of one each")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the other terms of the generator's loss."""

    pixel: float = _rule(200.0, "weight of the L1 distance to the clean line", low=0, high=1e6)
    feature: float = _rule(
        5.0, "weight of the squared distance of recognizer features", low=0, high=1e6
    )
    ctc: float = _rule(1.0, "weight of the recognizer's CTC loss (nats a line)", low=0, high=1e6)
    adversarial: float = _rule(3.0, "weight of the adversarial loss", low=0, high=1e6)


@dataclass(frozen=True)
class AugmentConfig:
    """Damage made anew while training. Search-validation and test lines keep their degraded twins."""

    fresh: float = _rule(
        0.0,
        "share of the lines of a step whose degraded twin is made anew instead of taken from the data",
        low=0,
        high=1,
    )
    strategy: str = _rule(
        "all",
        "what damages it: everything, ink alone, the sheet alone, the camera alone",
        choices=("all", "ink", "paper", "camera"),
    )
    strength: float = _rule(1.0, "strength of that damage", low=0, high=3)


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation of a trial."""

    seed: int = _rule(0, "seed of the trial: weights, order of the lines, dropout", low=0)
    epochs: int = _rule(20, "epochs of a trial", low=1, high=100_000)
    steps_per_epoch: int = _rule(20, "generator updates an epoch", low=1, high=1_000_000)
    batch_size: int = _rule(8, "lines a step", low=1, high=4096)
    micro_batch: int = _rule(
        0,
        "lines run at once; a larger batch is run in parts, one after another, to save memory; 0: the whole batch",
        low=0,
        high=4096,
    )
    schedule: str = _rule(
        "constant",
        "learning rates over the epochs; plateau halves them after 3 epochs without a gain in PSNR",
        choices=("constant", "cosine", "plateau"),
    )
    warmup_epochs: float = _rule(
        0.0, "epochs over which the learning rates rise from 0", low=0, high=1000
    )
    generator_lr: float = _rule(0.002, "learning rate of the generator (Adam)", low=1e-7, high=1)
    generator_beta1: float = _rule(
        0.5, "first moment's decay in the generator's Adam", low=0, high=0.999
    )
    discriminator_optimizer: str = _rule(
        "adam", "optimiser of the discriminator", choices=("adam", "sgd")
    )
    discriminator_lr: float = _rule(0.0005, "learning rate of the discriminator", low=1e-8, high=1)
    discriminator_text: str = _rule(
        "ground_truth",
        "text given with each image: the transcription with both, or the recognizer's own of each",
        choices=("ground_truth", "predicted"),
    )
    contrastive_lr: float = _rule(
        0.001, "learning rate of text encoder, heads and temperature (Adam)", low=1e-7, high=1
    )
    clip_norm: float = _rule(
        1.0, "largest gradient norm of generator and of discriminator", low=1e-6, high=1e6
    )
    contrastive_clip_norm: float = _rule(
        1.0, "largest gradient norm of text encoder and heads", low=1e-6, high=1e6
    )
    measure: str = _rule(
        "epoch",
        "when the costly figures are taken (gradient of the contrastive term over the pixel term's, the "
        "discriminator with images swapped): at the first step of an epoch, at each, or never",
        choices=("never", "epoch", "step"),
    )
