"""The command line of a search."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tune import ROOT
from tune.commands.errors import INTERRUPTED, errors_reported
from tune.commands.request_options import SPACES, SearchOptions, build_request
from tune.space.load import find_space, load_space
from tune.space.plain import digest_of
from tune.space.schema import json_schema
from tune.study.disk import disk_faults_explained
from tune.study.folder import StudyError, StudyFolder
from tune.study.request import Request
from tune.study.trial_status import TrialStatus

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command()
def search(
    context: typer.Context,
    space: Annotated[
        str, typer.Option(help="The search space: a YAML file, or a name in search_spaces/.")
    ] = "contrastive.yaml",
    data: Annotated[
        str,
        typer.Option(help="builtin, a folder with lines.tsv, a .tfrecord file, or ALTO/PAGE XML."),
    ] = "builtin",
    charset: Annotated[
        Path | None,
        typer.Option(
            help="File with one character per line. Default: those of the training lines."
        ),
    ] = None,
    fonts: Annotated[
        Path | None,
        typer.Option(
            help="TTF or OTF files for the built-in lines, in addition to the stroke fonts."
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Sizes: tiny (32 x 256), small (64 x 768), seed (the original's 128 x 1024)."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Number of trials, OFF included. Default: the space's budget."),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=0, help="Seeds of an experiment, or of a search's verdict (0: none)."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs per trial. Default: the space's budget.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seed of every trial and of the sampler. Default: the space's, else 0."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the study's folder. Default: space and time stamp."),
    ] = None,
    results: Annotated[Path, typer.Option(help="Folder of the study folders.")] = ROOT / "results",
    set_: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Fix a configuration key. May be repeated."
        ),
    ] = [],  # noqa: B006
    cpus_per_trial: Annotated[float, typer.Option(min=0.1, help="Processors per trial.")] = 1,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs per trial; fractions share a card. Default: 1 with CUDA."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster to join, such as auto. Default: start Ray here."),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Keep a copy of the study there: s3://bucket/studies."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume a study (--name, or the most recent one)."),
    ] = False,
    extend: Annotated[
        int | None,
        typer.Option(min=1, help="Resume a study with this many more trials (experiment: seeds)."),
    ] = None,
    warm_start: Annotated[
        list[str],
        typer.Option(
            metavar="STUDY",
            help="An earlier study or Optuna storage to learn from. May be repeated.",
        ),
    ] = [],  # noqa: B006
    single_trial: Annotated[
        bool,
        typer.Option(
            "--single-trial", help="Train one configuration in this process, without Ray."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a space file.")
    ] = False,
    distributions: Annotated[
        bool,
        typer.Option(
            "--distributions", help="Print the space as plain Optuna distributions (JSON)."
        ),
    ] = False,
) -> None:
    """Search weight, temperature and projection head of a contrastive loss for line restoration.

    The OFF arm (no contrastive loss) runs first; Optuna's TPE proposes the other trials. A trial
    stops after 15 epochs without an improvement. The study's folder holds every trial, the best
    weights and report.md. `--space experiment.yaml` searches nothing: it runs OFF and ON once for
    each seed.

    Try: `--dry-run` to see the plan, `--single-trial --set contrastive.temperature=0.1` to train
    one configuration, `--data DIR` for your own lines.
    """
    with errors_reported("interrupted. --resume continues a study that had begun"):
        if schema or distributions:
            say(json.dumps(json_schema(), indent=1) if schema else plain_distributions(space))
            return
        resumed = resume or extend is not None
        if resumed:
            folder, request = existing_study(context, results, name, space, extend)
        else:
            options = SearchOptions(
                space=space,
                data=data,
                charset=charset,
                fonts=fonts,
                preset=preset,
                trials=trials,
                seeds=seeds,
                epochs=epochs,
                seed=seed,
                settings=tuple(set_),
                cpus_per_trial=cpus_per_trial,
                gpus_per_trial=gpus_per_trial,
                single_trial=single_trial,
                warm_start=tuple(warm_start),
            )
            request = build_request(options)
            folder = StudyFolder.planned(results, name, request)
        with disk_faults_explained("give the same command again"):
            if dry_run:
                check_resources(request)
                say(preview_of(request, results))
                return
            code = run(folder, request, new=not resumed, address=address, mirror=mirror)
        raise typer.Exit(code)


def say(line: str) -> None:
    """Print a line at once, even into a pipe."""
    print(line, flush=True)


def plain_distributions(space: str) -> str:
    """The space as Optuna distributions. Raises: SpaceError."""
    from tune.searcher.distributions import distributions_json

    return distributions_json(load_space(find_space(space, SPACES)))


def preview_of(request: Request, results: Path) -> str:
    """The text of a dry run."""
    from tune.commands.preview import preview  # brings in torch

    return preview(request, results)


def existing_study(
    context: typer.Context, results: Path, name: str | None, space: str, extend: int | None
) -> tuple[StudyFolder, Request]:
    """The study to continue and its request, extended by `extend` trials. Raises: StudyError."""
    refuse_with_resume(context)
    folder = StudyFolder.existing(results, name)
    request = folder.request()
    refuse_other_space(context, space, folder, request)
    return folder, request if extend is None else request.extended(extend)


def run(
    folder: StudyFolder, request: Request, new: bool, address: str | None, mirror: str | None
) -> int:
    """Open the data, create the folder of a new study, and run the search or the single trial.

    Returns: the exit code.
    """
    from tune.driver import run_search
    from tune.runner.interrupts import sigterm_as_interrupt
    from tune.runner.preparation import open_data
    from tune.runner.single import run_single
    from tune.study.mirror import mirrored, open_target
    from tune.warm_start.history import read_history

    if mirror is not None:
        open_target(mirror)  # refuses an unusable URI before anything is written
    say(f"preset: {request.preset} ({request.preset_reason})")
    if address is None:
        check_resources(request)
    pairs = open_data(request, say)
    batch, lines = request.config().train.batch_size, len(pairs.train)
    if batch > lines:
        raise ValueError(
            f"train.batch_size: {batch} is more than the {lines} training lines of the generator. "
            "Lower it with --set, or under `fixed` in the space, or lower data.recognizer_share"
        )
    if new:
        for source in request.warm:  # before the folder exists: an unusable source leaves nothing
            read_history(source, request.bound_space, request.space.objectives, {})
        folder.create(request)
    elif request.trials != folder.request().trials:
        with folder.locked():
            folder.extend(request)
    say(f"study: {folder.path}")
    with sigterm_as_interrupt(), mirrored(folder.path, mirror, say):
        if request.single:
            result = run_single(folder, request, pairs, sys.stdout)
            return 1 if result["status"] == TrialStatus.FAILED else 0
        return 0 if run_search(folder, request, pairs, address, sys.stdout) else INTERRUPTED


def check_resources(request: Request) -> None:
    """Refuse a trial that needs more than this machine has: it would wait indefinitely.

    Raises: ValueError.
    """
    cpus, gpus = os.cpu_count() or 1, 0
    if request.gpus_per_trial:
        import torch

        gpus = torch.cuda.device_count()
    for option, amount, available, unit in (
        ("--cpus-per-trial", request.cpus_per_trial, cpus, "processors"),
        ("--gpus-per-trial", request.gpus_per_trial, gpus, "GPUs with CUDA"),
    ):
        if amount > available:
            raise ValueError(
                f"{option} {amount:g}: this machine has {available} {unit}. Lower it, or join a "
                "cluster with --address"
            )


def on_command_line(context: typer.Context, option: str) -> bool:
    """Whether the user has given an option."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def refuse_with_resume(context: typer.Context) -> None:
    """Raises: StudyError naming options that would change a study that is resumed."""
    free = ("resume", "extend", "name", "results", "address", "mirror", "dry_run", "space")
    fixed = [name for name in context.params if name not in free and on_command_line(context, name)]
    if fixed:
        names = ", ".join("--" + name.strip("_").replace("_", "-") for name in fixed)
        raise StudyError(
            f"{names} cannot be changed with --resume, which reads the study's study.yaml. Leave "
            "it out, or start a new study"
        )


def refuse_other_space(
    context: typer.Context, space: str, folder: StudyFolder, request: Request
) -> None:
    """Raises: StudyError if `--space` differs from the space of a study that is resumed."""
    if not on_command_line(context, "space"):
        return
    if digest_of(load_space(find_space(space, SPACES))) != digest_of(request.space):
        raise StudyError(
            f"{folder.path}: --space {space} differs from the space that the study began with. "
            "Leave it out, or start a new study that learns from this one: --space "
            f"{space} --warm-start {folder.path} --name NEW"
        )
