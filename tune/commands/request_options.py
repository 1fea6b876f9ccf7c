"""What the options of a search ask for: a request, or what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ganhtr.config import ConfigError, parse_settings
from tune import ROOT
from tune.space.load import config_faults, find_space, load_space
from tune.space.space import Space
from tune.study.request import Request
from tune.warm_start.origin import split_source

SPACES = ROOT / "search_spaces"
RECOGNIZER_FILES = ("guide.weights", "judge.weights")


def choose_preset(asked: str | None, space: Space) -> tuple[str, str]:
    """The preset and why: asked for, the space's own, or by what this machine has."""
    if asked:
        return asked, "asked for with --preset"
    if space.preset:
        return space.preset, f"named by {space.name}.yaml"
    import torch

    if torch.cuda.is_available():
        return "small", f"the default with CUDA ({torch.cuda.get_device_name()})"
    return "tiny", "the default without CUDA"


def with_seeds(space: Space, trials: int | None, seeds: int | None) -> Space:
    """The space with `--seeds` in its budget, or in a search's verdict. Raises: ConfigError for what only the other kind of study has."""
    if space.experiment and trials is not None:
        raise ConfigError(
            [
                f"--trials must be left out with {space.name}, an experiment, which runs both arms once for each seed, got "
                f"{trials}. Use --seeds, or set budget.seeds in its file"
            ]
        )
    if seeds is None:
        return space
    if not space.experiment:
        return replace(space, verdict=replace(space.verdict, seeds=seeds))
    if seeds < 1:
        raise ConfigError(
            [
                f"--seeds must be at least 1 with {space.name}, an experiment, got {seeds}. Each seed runs both arms"
            ]
        )
    return replace(space, budget=replace(space.budget, seeds=seeds))


def build_request(
    space: str,
    data: str,
    charset: Path | None,
    fonts: Path | None,
    preset: str | None,
    trials: int | None,
    seeds: int | None,
    epochs: int | None,
    seed: int | None,
    set_: list[str],
    cpus: float,
    gpus: float | None,
    single: bool,
    warm: tuple[str, ...] = (),
) -> Request:
    """The request that the options make. Raises: SpaceError, ConfigError, ValueError."""
    chosen = with_seeds(load_space(find_space(space, SPACES)), trials, seeds)
    settings = parse_settings(set_)
    if epochs is not None:
        settings["train.epochs"] = epochs
    given = settings.pop("train.seed", chosen.fixed.get("train.seed", 0))
    searched = {parameter.key for parameter in chosen.parameters} & set(settings)
    if searched and not single:
        raise ConfigError(
            [
                f"--set {key} must be a key that the space does not search: {chosen.name} searches it. Take it out of the "
                "space, or add --single-trial"
                for key in sorted(searched)
            ]
        )
    if computed := sorted(set(chosen.derived) & set(settings)):
        raise ConfigError(
            [
                f"--set {key} must be a key that the space does not derive: {chosen.name} computes it. Change the space"
                for key in computed
            ]
        )
    for key in RECOGNIZER_FILES:  # workers and --resume may run in another folder
        if path := settings.get(key, chosen.fixed.get(key)):
            settings[key] = str(Path(path).resolve())
    named, reason = choose_preset(preset, chosen)
    if gpus is None:
        import torch

        gpus = 1.0 if torch.cuda.is_available() else 0.0
    if data != "builtin":
        data = str(Path(data).resolve())
    request = Request(
        chosen,
        named,
        reason,
        settings,
        data,
        absolute(charset),
        absolute(fonts),
        trials or chosen.trials,
        given if seed is None else seed,
        cpus,
        gpus,
        single,
        tuple(absolute_source(each) for each in warm),
    )
    if warm and (chosen.experiment or single):
        other = "--single-trial" if single else chosen.name
        raise ConfigError(
            [f"--warm-start must be left to a search, got it with {other}. Leave it out"]
        )
    if request.config().contrastive.formulation == "none" and chosen.experiment and not single:
        raise ConfigError(
            [
                "--set contrastive.formulation must leave the ON arm of an experiment its contrastive loss, got none. Leave it "
                "out, or add --single-trial to train OFF alone"
            ]
        )
    faults = [fault for _, fault in config_faults(chosen, named)]
    if faults:
        raise ConfigError([f"{chosen.name}: {fault}" for fault in faults])
    return request


def absolute_source(source: str) -> str:
    """An earlier study as any working directory sees it: path or path::study. Raises: ValueError for an address that is no path."""
    path, study = split_source(source)
    return f"{Path(path).resolve()}{'::' * bool(study)}{study}"


def absolute(path: Path | None) -> str | None:
    """The path as any working directory sees it."""
    return str(path.resolve()) if path else None
