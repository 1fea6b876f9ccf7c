"""The configuration of a training run: its sections, the rule of every key, and the presets.

A key is `section.field` (`contrastive.weight`). `--set`, search spaces and the code use the same
names. An unknown key, a wrong type or a value that breaks its rule is a fault; `build_config`
reports all faults.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from ganhtr.config_faults import joint_faults
from ganhtr.config_sections import (
    STRIDES as STRIDES,  # exported for code that counts frames but needs no recognizer
)
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
from ganhtr.older_version import RENAMED, is_older

SHARED = ("data", "guide", "judge", "recognizer_training")  # equal in all trials of a study


@dataclass(frozen=True)
class Config:
    """The complete configuration of a training run."""

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
        """Return every key with its value, in the order of declaration."""
        return {
            f"{section.name}.{leaf.name}": getattr(getattr(self, section.name), leaf.name)
            for section in fields(self)
            if section.name != "preset"
            for leaf in fields(getattr(self, section.name))
        }

    def replace(self, overrides: Mapping[str, Any]) -> Config:
        """Return a copy with some keys changed. Raises: ConfigError as `build_config` does."""
        return build_config(self.preset, {**self.flat(), **overrides})


@dataclass(frozen=True)
class Rule:
    """The type, bounds (both inclusive) or choices, default and meaning of a key."""

    key: str
    type: type
    default: Any
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple = ()

    @property
    def shared(self) -> bool:
        """Whether all trials of a study share the value: it can be set, but not searched."""
        return self.key.split(".")[0] in SHARED

    def words(self) -> str:
        """Return the rule as a phrase that completes "the value must be ..."."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        name = names[self.type]
        if self.low is not None and self.high is not None:
            return f"{name} from {self.low:g} to {self.high:g}"
        return name if self.low is None else f"{name} of at least {self.low:g}"

    def fault(self, value: Any) -> str | None:
        """Return the error message for a value that breaks the rule, or None.

        An integer is a valid float. True and false are not numbers.
        """
        fits = isinstance(value, (int, float) if self.type is float else self.type)
        fits = fits and isinstance(value, bool) == (self.type is bool)  # a bool is an int in Python
        if self.choices:
            fits = fits and value in self.choices
        elif fits and self.type in (int, float):
            fits = abs(value) < float("inf")  # not for NaN
            fits = fits and (self.low is None or value >= self.low)
            fits = fits and (self.high is None or value <= self.high)
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

# a judge of another shape than the guide, which reads the lines at another height
_JUDGE = {
    "judge.base": 12,
    "judge.dim": 64,
    "judge.layers": 1,
    "judge.height": 48,
    "judge.seed": 2,
}
PRESETS: dict[str, dict[str, Any]] = {
    # 32 x 256, for a CPU: a trial of 400 steps learns to restore the built-in lines in a minute
    "tiny": {**_JUDGE},
    # 64 x 768, for real lines on a CPU or a small GPU
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
    # the original experiment, 128 x 1024: three networks of 31 M, 137 M and 28 M parameters. The
    # discriminator is trained with Adam: the original's SGD left it at chance. The space
    # `experiment` has SGD and the original's other settings.
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
        "train.ema": 0.0,
        "train.discriminator_lr": 0.0002,
        "train.contrastive_lr": 0.0002,
    },
}


class ConfigError(ValueError):
    """One or more faults of a configuration; `faults` has one line for each."""

    def __init__(self, faults: list[str]):
        self.faults = faults
        super().__init__("\n".join(faults))


def nearest(name: str, known: Mapping[str, Any] | tuple | list) -> str:
    """Return a hint: the known word most similar to `name`, or all known words if they are few."""
    if is_older([name]):
        return RENAMED
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]}?"
    if len(known) <= 12:
        return f"Known: {', '.join(sorted(known))}."
    return "`--dry-run` lists the known keys."


def key_fault(key: str) -> str | None:
    """Return the error message for an unknown key, or None."""
    return None if key in RULES else f"{key} is not a configuration key. {nearest(key, RULES)}"


def parse_settings(words: list[str], sections: tuple[str, ...] = ()) -> dict[str, Any]:
    """Parse the `key=value` words of a command line. `sections`, if any, limits the keys.

    A value is text where the key takes text, otherwise a number, true or false where it looks like
    one.
    Raises: ConfigError with all faults.
    """
    settings, faults = {}, []
    for word in words:
        key, sign, text = word.partition("=")
        if not sign:
            faults.append(f"--set must be key=value, got {word!r}")
        elif fault := key_fault(key):
            faults.append(f"--set {fault}")
        elif sections and key.split(".")[0] not in sections:
            allowed = ", ".join(f"{name}.*" for name in sections)
            faults.append(f"--set {key} has no effect here; allowed are {allowed}. Remove it")
        else:
            settings[key] = text if RULES[key].type is str else _number_or_word(text)
    if faults:
        raise ConfigError(faults)
    return settings


def _number_or_word(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def build_config(preset: str = "tiny", overrides: Mapping[str, Any] | None = None) -> Config:
    """Build the configuration of a preset with some keys overridden.

    Raises: ConfigError with all faults. Faults of key combinations are only looked for if every key
    is valid by itself.
    """
    if preset not in PRESETS:
        known = ", ".join(PRESETS)
        hint = nearest(preset, PRESETS)
        raise ConfigError([f"preset must be one of {known}, got {preset!r}. {hint}"])
    values = {key: rule.default for key, rule in RULES.items()} | PRESETS[preset]
    faults = []
    for key, value in (overrides or {}).items():
        fault = key_fault(key) or RULES[key].fault(value)
        if fault:
            faults.append(fault)
        else:
            values[key] = RULES[key].type(value)
    if faults := faults or list(joint_faults(values)):
        raise ConfigError(faults)
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, leaf = key.split(".")
        sections.setdefault(section, {})[leaf] = value
    types = get_type_hints(Config)
    built = {name: types[name](**leaves) for name, leaves in sections.items()}
    return Config(preset=preset, **built)
