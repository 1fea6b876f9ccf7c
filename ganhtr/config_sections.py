"""The sections of a configuration: frozen dataclasses that hold every default, with the rule and the meaning of each field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _rule(default: Any, doc: str, *, low: float | None = None, high: float | None = None, choices: tuple = ()) -> Any:
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True)
class DataConfig:
    """What the lines look like. Shared by all trials of a study."""

    height: int = _rule(32, "line height in pixels", low=16, high=512)
    width: int = _rule(256, "widest line in pixels; wider ones are squeezed", low=32, high=4096)
    degradation: float = _rule(1.0, "strength of the made degradations; 0 leaves the line as it is", low=0, high=3)
    lines: int = _rule(3200, "synthetic training lines (built-in data only)", low=16, high=200_000)
    seed: int = _rule(0, "seed of the synthetic lines, of the degradations and of the split", low=0)


@dataclass(frozen=True)
class GeneratorConfig:
    """U-Net that restores a line."""

    base: int = _rule(8, "channels of the first level; doubled at each level", low=1, high=512)
    levels: int = _rule(4, "times the resolution is halved", low=1, high=6)
    bn_momentum: float = _rule(0.1, "share of a batch in batch norm's running statistics", low=0.001, high=1)


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Judges a line image together with its text."""

    base: int = _rule(8, "channels of the first convolution; doubled three times", low=1, high=512)
    hidden: int = _rule(64, "width of the first dense layer; the second has half", low=2, high=4096)
    embedding: int = _rule(32, "width of a character's embedding", low=1, high=1024)
    text_hidden: int = _rule(32, "width of the text LSTM", low=1, high=1024)


@dataclass(frozen=True)
class RecognizerConfig:
    """A line reader. Shared by all trials of a study."""

    kind: str = _rule("crnn", "architecture", choices=("crnn", "transformer"))
    base: int = _rule(16, "channels of the first convolution", low=1, high=512)
    dim: int = _rule(96, "width of an LSTM direction, or of the transformer", low=2, high=4096)
    layers: int = _rule(2, "recurrent or transformer layers", low=1, high=24)
    heads: int = _rule(8, "attention heads (transformer)", low=1, high=64)
    dropout: float = _rule(0.1, "dropout while the reader itself trains", low=0, high=0.9)
    seed: int = _rule(1, "seed of the reader's weights and of its training", low=0)


@dataclass(frozen=True)
class ReaderConfig:
    """How a reader is trained on clean training lines. Shared by all trials of a study."""

    epochs: int = _rule(12, "passes over the training lines", low=1, high=10_000)
    batch_size: int = _rule(16, "lines a step", low=1, high=1024)
    lr: float = _rule(0.002, "highest learning rate of the one-cycle schedule (Adam)", low=1e-7, high=1)


@dataclass(frozen=True)
class TextEncoderConfig:
    """BiLSTM over the transcription, trained with the contrastive loss alone."""

    embedding: int = _rule(64, "width of a character's embedding", low=1, high=1024)
    dropout: float = _rule(0.1, "dropout on the embedded characters", low=0, high=0.9)


@dataclass(frozen=True)
class ContrastiveConfig:
    """The contrastive loss between restored image and transcription."""

    formulation: str = _rule("infonce", "the loss; none is OFF", choices=("none", "infonce", "clip"))
    weight: float = _rule(1.0, "weight in the generator's total; 0 leaves the term out of the update", low=0, high=1e4)
    temperature: float = _rule(0.1, "softmax temperature (clip: where the learned one starts)", low=0.01, high=10)
    symmetric: bool = _rule(False, "infonce: also text to image (clip always does)")
    learned_temperature: bool = _rule(False, "infonce: learn the temperature (clip always does)")


@dataclass(frozen=True)
class HeadConfig:
    """Projection heads, one for the image and one for the text."""

    kind: str = _rule("mlp", "none, one linear map, or a perceptron", choices=("none", "linear", "mlp"))
    dim: int = _rule(128, "size of the compared vectors (linear, mlp)", low=2, high=4096)
    layers: int = _rule(1, "hidden layers of the perceptron", low=1, high=6)
    width: int = _rule(256, "width of the perceptron's hidden layers", low=2, high=8192)
    norm: str = _rule("none", "normalisation of the hidden layers", choices=("none", "batch", "layer"))


@dataclass(frozen=True)
class LossConfig:
    """Weights of the other terms of the generator's loss."""

    pixel: float = _rule(200.0, "weight of the L1 distance to the clean line", low=0, high=1e6)
    feature: float = _rule(5.0, "weight of the squared distance of recognizer features", low=0, high=1e6)
    ctc: float = _rule(1.0, "weight of the recognizer's CTC loss (nats a line)", low=0, high=1e6)
    adversarial: float = _rule(3.0, "weight of the adversarial loss", low=0, high=1e6)


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation of a trial."""

    seed: int = _rule(0, "seed of the trial: weights, order of the lines, dropout", low=0)
    epochs: int = _rule(20, "epochs of a trial", low=1, high=100_000)
    steps_per_epoch: int = _rule(20, "generator updates an epoch", low=1, high=1_000_000)
    batch_size: int = _rule(8, "lines a step", low=1, high=4096)
    generator_lr: float = _rule(0.002, "learning rate of the generator (Adam)", low=1e-7, high=1)
    generator_beta1: float = _rule(0.5, "first moment's decay in the generator's Adam", low=0, high=0.999)
    discriminator_optimizer: str = _rule("adam", "optimiser of the discriminator", choices=("adam", "sgd"))
    discriminator_lr: float = _rule(0.0005, "learning rate of the discriminator", low=1e-8, high=1)
    discriminator_text: str = _rule(
        "ground_truth", "text given with each image: the transcription with both, or the reader's own of each",
        choices=("ground_truth", "predicted"))
    contrastive_lr: float = _rule(0.001, "learning rate of text encoder, heads and temperature (Adam)", low=1e-7, high=1)
    clip_norm: float = _rule(1.0, "largest gradient norm of generator and of discriminator", low=1e-6, high=1e6)
    contrastive_clip_norm: float = _rule(1.0, "largest gradient norm of text encoder and heads", low=1e-6, high=1e6)
