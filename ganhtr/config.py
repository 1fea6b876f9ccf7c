"""A training run's configuration: the sections together, the rules of their keys, and the presets.

A key is ``section.field`` (``contrastive.weight``); the same names are used by `--set`, by a search space and by
the code. Nothing is guessed: an unknown key, a wrong type or a value outside its rule is a fault, and
`build_config` reports every fault at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from ganhtr.config_faults import joint_faults
from ganhtr.config_sections import (
    STRIDES as STRIDES,
)  # for whoever needs a recognizer's frames without a recognizer
from ganhtr.config_sections import (
    AugmentConfig,
    ContrastiveConfig,
    DataConfig,
    DiscriminatorConfig,
    GeneratorConfig,
    HeadConfig,
    LossConfig,
    RecognizerConfig,
    RecognizerTrainingConfig,
    TextEncoderConfig,
    TrainConfig,
)


@dataclass(frozen=True)
class Config:
    """One training run, whole."""

    preset: str
    data: DataConfig
    generator: GeneratorConfig
    discriminator: DiscriminatorConfig
    guide: RecognizerConfig
    judge: RecognizerConfig
    recognizer_training: RecognizerTrainingConfig
    text_encoder: TextEncoderConfig
    contrastive: ContrastiveConfig
    head: HeadConfig
    loss: LossConfig
    augment: AugmentConfig
    train: TrainConfig

    def flat(self) -> dict[str, Any]:
        """Every key with its value, in the order of declaration."""
        return {
            f"{section.name}.{leaf.name}": getattr(getattr(self, section.name), leaf.name)
            for section in fields(self)
            if section.name != "preset"
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
        return self.key.split(".")[0] in ("data", "guide", "judge", "recognizer_training")

    def words(self) -> str:
        """The rule in words, as it stands in an error message."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        name = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[
            self.type
        ]
        if self.low is not None and self.high is not None:
            return f"{name} from {self.low:g} to {self.high:g}"
        return name if self.low is None else f"{name} of at least {self.low:g}"

    def fault(self, value: Any) -> str | None:
        """Why `value` does not do, or None. A whole number serves as a float; true and false are not numbers."""
        fits = (
            isinstance(value, bool)
            if self.type is bool
            else isinstance(value, self.type if self.type is not float else (int, float))
            and not isinstance(value, bool)
        )
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
        **_JUDGE,
        "data.height": 64,
        "data.width": 768,
        "discriminator.hidden": 128,
        "train.batch_size": 4,
        "recognizer_training.epochs": 40,
        "recognizer_training.batch_size": 8,
        "recognizer_training.lr": 0.001,
    },
    # The sizes and settings of the original experiment (128 x 1024, three networks of 31 M, 137 M and 28 M).
    "seed": {
        "data.height": 128,
        "data.width": 1024,
        "generator.base": 64,
        "generator.bn_momentum": 0.01,
        "discriminator.base": 64,
        "discriminator.hidden": 512,
        "discriminator.embedding": 64,
        "discriminator.text_hidden": 128,
        "guide.kind": "transformer",
        "guide.base": 64,
        "guide.dim": 512,
        "guide.layers": 6,
        "guide.dropout": 0.2,
        "judge.base": 32,
        "judge.dim": 256,
        "judge.seed": 2,
        "recognizer_training.epochs": 100,
        "recognizer_training.lr": 0.0003,
        "train.epochs": 30,
        "train.steps_per_epoch": 100,
        "train.batch_size": 4,
        "train.generator_lr": 0.0002,
        "train.discriminator_lr": 0.0002,
        "train.contrastive_lr": 0.0002,
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
    return (
        f"Known: {', '.join(sorted(known))}."
        if len(known) <= 12
        else "`--dry-run` lists the known keys."
    )


def key_fault(key: str) -> str | None:
    """Why `key` is not a configuration key, or None."""
    return None if key in RULES else f"{key} is not a configuration key. {nearest(key, RULES)}"


def parse_settings(words: list[str], sections: tuple[str, ...] = ()) -> dict[str, Any]:
    """`key=value` words of a command line as a mapping; where a key takes text its value is text, else a number or true or false is one.

    `sections` limits the keys. Raises: ConfigError with every fault.
    """
    settings, faults = {}, []
    for word in words:
        key, sign, text = word.partition("=")
        if not sign:
            faults.append(f"--set must be key=value, got {word!r}")
        elif fault := key_fault(key):
            faults.append(f"--set {fault}")
        elif sections and key.split(".")[0] not in sections:
            faults.append(
                f"--set must be a key of {', '.join(name + '.*' for name in sections)} here, got {key}. Leave it out"
            )
        else:
            settings[key] = text if RULES[key].type is str else _number_or_word(text)
    if faults:
        raise ConfigError(faults)
    return settings


def _number_or_word(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def build_config(preset: str = "tiny", overrides: Mapping[str, Any] | None = None) -> Config:
    """The preset with `overrides` (flat keys) laid over it.

    Raises: ConfigError with every fault.
    """
    if preset not in PRESETS:
        raise ConfigError(
            [
                f"preset must be one of {', '.join(PRESETS)}, got {preset!r}. {nearest(preset, PRESETS)}"
            ]
        )
    values = {key: rule.default for key, rule in RULES.items()} | PRESETS[preset]
    faults = []
    for key, value in (overrides or {}).items():
        fault = key_fault(key) or RULES[key].fault(value)
        if fault:
            faults.append(fault)
        else:
            values[key] = RULES[key].type(value)
    faults += [] if faults else joint_faults(values)
    if faults:
        raise ConfigError(faults)
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, leaf = key.split(".")
        sections.setdefault(section, {})[leaf] = value
    types = get_type_hints(Config)
    return Config(
        preset=preset, **{name: types[name](**leaves) for name, leaves in sections.items()}
    )
