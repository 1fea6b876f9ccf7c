"""From the options of a search to the request of a study."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ganhtr.config import ConfigError, parse_settings
from tune import ROOT
from tune.space.load import config_faults, find_space, load_space
from tune.space.space import Space
from tune.study.request import Request
from tune.warm_start.origin import split_source

SPACES = ROOT / "search_spaces"
RECOGNIZER_FILES = ("guide.weights", "judge.weights")


@dataclass(frozen=True)
class SearchOptions:
    """The options of the command line that make a request; None is an option that is left out."""

    space: str
    data: str = "builtin"
    charset: Path | None = None
    fonts: Path | None = None
    preset: str | None = None
    trials: int | None = None
    seeds: int | None = None
    epochs: int | None = None
    seed: int | None = None
    settings: tuple[str, ...] = ()  # KEY=VALUE
    cpus_per_trial: float = 1
    gpus_per_trial: float | None = None
    single_trial: bool = False
    warm_start: tuple[str, ...] = ()


def build_request(options: SearchOptions) -> Request:
    """Return the request that the options make. Raises: SpaceError, ConfigError, ValueError."""
    space = load_space(find_space(options.space, SPACES))
    space = with_seeds(space, options.trials, options.seeds)
    settings = read_settings(options, space)
    seed = settings.pop("train.seed", space.fixed.get("train.seed", 0))
    preset, reason = choose_preset(options.preset, space)
    request = Request(
        space=space,
        preset=preset,
        preset_reason=reason,
        settings=settings,
        data=options.data if options.data == "builtin" else absolute(options.data),
        charset=absolute(options.charset) if options.charset else None,
        fonts=absolute(options.fonts) if options.fonts else None,
        trials=options.trials or space.trials,
        seed=seed if options.seed is None else options.seed,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=default_gpus(options.gpus_per_trial),
        single=options.single_trial,
        warm=tuple(map(absolute_source, options.warm_start)),
    )
    check_request(request)
    return request


def with_seeds(space: Space, trials: int | None, seeds: int | None) -> Space:
    """Return the space with `--seeds` in its budget, or in its verdict if it searches.

    Raises: ConfigError for an option that the kind of study cannot have.
    """
    if space.experiment and trials is not None:
        raise ConfigError(
            [
                f"--trials {trials}: {space.name} is an experiment, which runs both arms once for "
                "each seed. Use --seeds, or set budget.seeds in its file"
            ]
        )
    if seeds is None:
        return space
    if not space.experiment:
        return replace(space, verdict=replace(space.verdict, seeds=seeds))
    if seeds < 1:
        raise ConfigError(
            [f"--seeds must be at least 1 with {space.name}, an experiment, got {seeds}"]
        )
    return replace(space, budget=replace(space.budget, seeds=seeds))


def read_settings(options: SearchOptions, space: Space) -> dict[str, Any]:
    """Return the configuration keys that `--set` and `--epochs` give.

    Paths of recognizers become absolute, also those that the space fixes: workers and `--resume`
    may run in another folder.

    Raises: ConfigError with every fault.
    """
    settings = parse_settings(list(options.settings))
    if options.epochs is not None:
        settings["train.epochs"] = options.epochs
    searched = () if options.single_trial else space.parameters
    faults = [
        f"--set {key}: {space.name} searches this key. Remove it from the space, or add "
        "--single-trial"
        for key in sorted({parameter.key for parameter in searched}.intersection(settings))
    ]
    faults += [
        f"--set {key}: {space.name} derives this key from others. Change the space"
        for key in sorted(set(space.derived).intersection(settings))
    ]
    if faults:
        raise ConfigError(faults)
    for key in RECOGNIZER_FILES:
        if path := settings.get(key, space.fixed.get(key)):
            settings[key] = absolute(path)
    return settings


def choose_preset(name: str | None, space: Space) -> tuple[str, str]:
    """Return the preset and the reason: the option, the space, or what this machine has."""
    if name:
        return name, "set with --preset"
    if space.preset:
        return space.preset, f"named by {space.name}.yaml"
    import torch

    if torch.cuda.is_available():
        return "small", f"the default with CUDA ({torch.cuda.get_device_name()})"
    return "tiny", "the default without CUDA"


def default_gpus(gpus: float | None) -> float:
    """Return the GPUs of a trial: one if there is CUDA and the option is left out."""
    if gpus is not None:
        return gpus
    import torch

    return 1.0 if torch.cuda.is_available() else 0.0


def check_request(request: Request) -> None:
    """Raise ConfigError for a request whose parts do not go together."""
    space = request.space
    if request.warm and (space.experiment or request.single):
        kind = "--single-trial" if request.single else f"{space.name}, an experiment,"
        raise ConfigError([f"--warm-start: {kind} searches nothing. Remove one"])
    formulation = request.config().contrastive.formulation
    if formulation == "none" and space.experiment and not request.single:
        raise ConfigError(
            [
                "--set contrastive.formulation=none: the ON arm of an experiment needs a "
                "contrastive loss. Remove it, or add --single-trial to train OFF alone"
            ]
        )
    faults = [
        f"{space.name}: {'.'.join(place)}: {fault}"
        for place, fault in config_faults(space, request.preset)
    ]
    if faults:
        raise ConfigError(faults)


def absolute_source(source: str) -> str:
    """Return an earlier study, path or path::study, with an absolute path.

    Raises: ValueError for an address that is not a path.
    """
    path, study = split_source(source)
    return f"{absolute(path)}{'::' * bool(study)}{study}"


def absolute(path: str | Path) -> str:
    """Return the path as any working directory sees it."""
    return str(Path(path).resolve())
