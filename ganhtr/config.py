"""Every default of a training run, once: frozen dataclasses, their rules, and the presets.

A key is ``section.field`` (``contrastive.weight``); the same names are used by `--set`, by a search space and by
the code. Nothing is guessed: an unknown key, a wrong type or a value outside its rule is a fault, and
`build_config` reports every fault at once.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints


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


@dataclass(frozen=True)
class Config:
    """One training run, whole."""

    preset: str = "tiny"
    data: DataConfig = DataConfig()
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    recognizer: RecognizerConfig = RecognizerConfig()
    judge: RecognizerConfig = RecognizerConfig()
    reader: ReaderConfig = ReaderConfig()
    text_encoder: TextEncoderConfig = TextEncoderConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    head: HeadConfig = HeadConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig = TrainConfig()

    def flat(self) -> dict[str, Any]:
        """Every key with its value, in the order of declaration."""
        return {
            f"{section.name}.{leaf.name}": getattr(getattr(self, section.name), leaf.name)
            for section in fields(self) if section.name != "preset"
            for leaf in fields(getattr(self, section.name))
        }

    def replace(self, overrides: Mapping[str, Any]) -> Config:
        """This configuration with some keys changed. Raises ConfigError as `build_config` does."""
        return build_config(self.preset, {**self.flat(), **overrides})


@dataclass(frozen=True)
class Rule:
    """What a key takes."""

    key: str
    type: type
    default: Any
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple = ()

    @property
    def shared(self) -> bool:
        """Whether all trials of a study share the value, so that it can be fixed but not searched."""
        return self.key.split(".")[0] in ("data", "recognizer", "judge", "reader")

    def words(self) -> str:
        """The rule in words, as it stands in an error message."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        name = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[self.type]
        if self.low is not None and self.high is not None:
            return f"{name} from {self.low:g} to {self.high:g}"
        return name if self.low is None else f"{name} of at least {self.low:g}"

    def fault(self, value: Any) -> str | None:
        """Why `value` does not do, or None. A whole number serves as a float; true and false are not numbers."""
        fits = (isinstance(value, bool) if self.type is bool else
                isinstance(value, self.type if self.type is not float else (int, float)) and not isinstance(value, bool))
        if fits and self.type is float:
            fits = value == value and abs(value) != float("inf")
        if fits and self.choices:
            fits = value in self.choices
        if fits and self.low is not None:
            fits = value >= self.low and (self.high is None or value <= self.high)
        return None if fits else f"{self.key} must be {self.words()}, got {value!r}"


def _rules() -> dict[str, Rule]:
    rules = {}
    for section, cls in get_type_hints(Config).items():
        if section == "preset":
            continue
        types = get_type_hints(cls)
        for leaf in fields(cls):
            key = f"{section}.{leaf.name}"
            rules[key] = Rule(key, types[leaf.name], leaf.default, **leaf.metadata)
    return rules


RULES: dict[str, Rule] = _rules()

_JUDGE = {"judge.base": 12, "judge.dim": 64, "judge.seed": 2}
PRESETS: dict[str, dict[str, Any]] = {
    # 32 x 256, for a CPU: a trial of 400 steps learns to restore the built-in lines in about a minute.
    "tiny": {**_JUDGE},
    # 64 high, for real lines on a CPU or a small card.
    "small": {
        **_JUDGE, "data.height": 64, "data.width": 768, "generator.base": 12, "discriminator.hidden": 128,
        "train.batch_size": 4, "reader.epochs": 40, "reader.batch_size": 8, "reader.lr": 0.001,
    },
    # The sizes and settings of the original experiment (128 x 1024, three networks of 31 M, 137 M and 28 M).
    "seed": {
        "data.height": 128, "data.width": 1024, "generator.base": 64, "generator.bn_momentum": 0.01,
        "discriminator.base": 64, "discriminator.hidden": 512, "discriminator.embedding": 64,
        "discriminator.text_hidden": 128,
        "recognizer.kind": "transformer", "recognizer.base": 64, "recognizer.dim": 512, "recognizer.layers": 6,
        "recognizer.dropout": 0.2, "judge.base": 32, "judge.dim": 256, "judge.seed": 2,
        "reader.epochs": 100, "reader.lr": 0.0003,
        "train.epochs": 30, "train.steps_per_epoch": 100, "train.batch_size": 4, "train.generator_lr": 0.0002,
        "train.discriminator_lr": 0.0002, "train.contrastive_lr": 0.0002,
    },
}


class ConfigError(ValueError):
    """One or more faults of a configuration; `faults` holds a line each."""

    def __init__(self, faults: list[str]):
        self.faults = faults
        super().__init__("\n".join(faults))


def nearest(name: str, known: Mapping[str, Any] | tuple | list) -> str:
    """A hint that names the known word nearest to `name`, else all known words when they are few."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known: {', '.join(sorted(known))}." if len(known) <= 12 else "`--dry-run` lists the known keys."


def key_fault(key: str) -> str | None:
    """Why `key` is not a configuration key, or None."""
    return None if key in RULES else f"{key} is not a configuration key. {nearest(key, RULES)}"


def build_config(preset: str = "tiny", overrides: Mapping[str, Any] | None = None) -> Config:
    """The preset with `overrides` (flat keys) laid over it.

    Raises: ConfigError with every fault.
    """
    if preset not in PRESETS:
        raise ConfigError([f"preset must be one of {', '.join(PRESETS)}, got {preset!r}. {nearest(preset, PRESETS)}"])
    values = {key: rule.default for key, rule in RULES.items()} | PRESETS[preset]
    faults = []
    for key, value in (overrides or {}).items():
        fault = key_fault(key) or RULES[key].fault(value)
        if fault:
            faults.append(fault)
        else:
            values[key] = RULES[key].type(value)
    faults += [] if faults else _joint_faults(values)
    if faults:
        raise ConfigError(faults)
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, leaf = key.split(".")
        sections.setdefault(section, {})[leaf] = value
    types = get_type_hints(Config)
    return Config(preset=preset, **{name: types[name](**leaves) for name, leaves in sections.items()})


def _joint_faults(values: Mapping[str, Any]) -> list[str]:
    """Faults that only several keys together have."""
    faults = []
    step = 2 ** values["generator.levels"]
    for key in ("data.height", "data.width"):
        if values[key] % step:
            faults.append(f"{key} must be a multiple of {step} (2 to the power of generator.levels), got {values[key]}")
    for section in ("recognizer", "judge"):
        stride = {"crnn": 4, "transformer": 8}[values[f"{section}.kind"]]
        if values["data.width"] % stride:
            faults.append(f"data.width must be a multiple of {stride} (pixels a frame of {section}.kind), got {values['data.width']}")
        if values[f"{section}.kind"] == "transformer" and values[f"{section}.dim"] % values[f"{section}.heads"]:
            faults.append(f"{section}.dim must be a multiple of {section}.heads, got {values[f'{section}.dim']}")
    if values["contrastive.formulation"] != "none" and values["train.batch_size"] < 2:
        faults.append("train.batch_size must be at least 2 for a contrastive loss, which compares lines of a batch; "
                      "got 1. Raise it, or set contrastive.formulation to none")
    return faults


def sections_of(config: Config) -> dict[str, dict[str, Any]]:
    """The configuration as nested plain values, for JSON and YAML."""
    return dataclasses.asdict(config)
