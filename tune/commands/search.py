"""The command line of a search: options, what they mean, and what is said when they do not fit."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tune import ROOT
from tune.commands.request_options import SPACES, SearchOptions, build_request
from tune.space.load import find_space, load_space
from tune.space.plain import digest_of
from tune.space.schema import json_schema
from tune.study.disk import disk_faults_explained
from tune.study.folder import StudyError, StudyFolder
from tune.study.request import Request

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
        typer.Option(help="One character a line. Default: those of the training transcriptions."),
    ] = None,
    fonts: Annotated[
        Path | None,
        typer.Option(help="TTF or OTF files for the built-in lines, beside the stroke fonts."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Sizes: tiny (32 x 256), small (64 x 768), seed (the original's 128 x 1024)."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials in all, the OFF arm included. Default: the space's budget."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seeds of an experiment's arms, or of a search's verdict (0: none)."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of a trial. Default: the space's budget.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seed of every trial and of the sampler. Default: the space's, else 0."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the study's folder. Default: the space and a time stamp."),
    ] = None,
    results: Annotated[Path, typer.Option(help="Where study folders go.")] = ROOT / "results",
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Fixes a key; may be repeated.")
    ] = [],  # noqa: B006
    cpus_per_trial: Annotated[float, typer.Option(min=0.1, help="Processors a trial takes.")] = 1,
    gpus_per_trial: Annotated[
        float | None,
        typer.Option(min=0, help="GPUs a trial takes; fractions pack. Default: 1 with CUDA."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A running Ray cluster to join, such as auto. Default: start Ray here."),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Keeps a copy of the study there: s3://bucket/studies."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a study: the one of --name, else the newest."),
    ] = False,
    extend: Annotated[
        int | None,
        typer.Option(min=1, help="Go on with a study for as many more trials (experiment: seeds)."),
    ] = None,
    warm_start: Annotated[
        list[str],
        typer.Option(
            metavar="STUDY",
            help="An earlier study to learn from, ours or an Optuna storage; may be repeated.",
        ),
    ] = [],  # noqa: B006
    single_trial: Annotated[
        bool,
        typer.Option(
            "--single-trial", help="Train one configuration in this process, without Ray."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be run, and run nothing.")
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
    """Searches weight, temperature and projection head of a contrastive loss for the restoration of handwritten lines.

    The OFF arm (no contrastive loss) runs first; Optuna's TPE proposes the others; a trial stops after 15 epochs without a gain. The
    study's folder holds every trial, the best weights and report.md. `--space experiment.yaml` searches nothing: it runs OFF and ON
    once for each seed.

    Try: `--dry-run` to see the plan, `--single-trial --set contrastive.temperature=0.1` to train one configuration, `--data DIR` for your
    own lines.
    """
    try:
        if schema or distributions:
            say(json.dumps(json_schema(), indent=1) if schema else plain_distributions(space))
            return
        going_on = resume or extend is not None
        if going_on:
            folder, request = begun_study(context, results, name, space, extend)
        else:
            request = build_request(
                SearchOptions(
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
            )
            folder = StudyFolder.planned(results, name, request)
        with disk_faults_explained("give the same command again"):
            code = (
                dry_run_of(request, results)
                if dry_run
                else run(folder, request, new=not going_on, address=address, mirror=mirror)
            )
    except ValueError as error:  # a space, a setting, a study or data that will not do
        print(error, file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("interrupted; --resume goes on with a study that had begun", file=sys.stderr)
        code = 130
    raise typer.Exit(code)


def plain_distributions(space: str) -> str:
    """A space as Optuna distributions. Raises: SpaceError."""
    from tune.searcher.distributions import distributions_json

    return distributions_json(load_space(find_space(space, SPACES)))


def begun_study(
    context: typer.Context, results: Path, name: str | None, space: str, extend: int | None
) -> tuple[StudyFolder, Request]:
    """A study to go on with, and its request, extended if that was asked for. Raises: StudyError."""
    refuse_with_resume(context)
    folder = StudyFolder.existing(results, name)
    request = folder.request()
    refuse_other_space(context, space, folder, request)
    return folder, request if extend is None else request.extended(extend)


def say(line: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(line, flush=True)


def dry_run_of(request: Request, results: Path) -> int:
    """The dry run."""
    from tune.commands.preview import preview

    check_resources(request)
    say(preview(request, results))
    return 0


def run(
    folder: StudyFolder, request: Request, new: bool, address: str | None, mirror: str | None
) -> int:
    """Opens the data, makes the folder of a new study, and runs the search or the single trial. Returns the exit code."""
    from tune.driver import run_search
    from tune.runner.interrupts import sigterm_as_interrupt
    from tune.runner.preparation import open_data
    from tune.runner.single import run_single
    from tune.study.mirror import mirrored, open_target
    from tune.warm_start.history import read_history

    if mirror is not None:
        open_target(mirror)  # refused before anything is made
    say(f"preset: {request.preset} ({request.preset_reason})")
    if address is None:
        check_resources(request)
    pairs = open_data(request, say)
    if request.config().train.batch_size > len(pairs.train):
        raise ValueError(
            f"train.batch_size must be at most the number of training lines ({len(pairs.train)}), got "
            f"{request.config().train.batch_size}. Lower it with --set or under fixed"
        )
    if new:
        for source in (
            request.warm
        ):  # before there is a folder: a source that will not do leaves nothing behind
            read_history(source, request.bound_space, request.space.objectives, {})
        folder.create(request)
    elif request.trials != folder.request().trials:
        with folder.locked():
            folder.extend(request)
    say(f"study: {folder.path}")
    with sigterm_as_interrupt(), mirrored(folder.path, mirror, say):
        if request.single:
            return 1 if run_single(folder, request, pairs, sys.stdout)["status"] == "failed" else 0
        return 0 if run_search(folder, request, pairs, address, sys.stdout) else 130


def check_resources(request: Request) -> None:
    """A trial that asks for more than the machine has would wait for ever. Raises: ValueError."""
    cpus, gpus = os.cpu_count() or 1, 0
    if request.gpus_per_trial:
        import torch

        gpus = torch.cuda.device_count()
    for option, asked, held, what in (
        ("--cpus-per-trial", request.cpus_per_trial, cpus, "processors"),
        ("--gpus-per-trial", request.gpus_per_trial, gpus, "GPUs with CUDA"),
    ):
        if asked > held:
            raise ValueError(
                f"{option} must be at most what this machine has ({held} {what}), got {asked:g}. Lower it, or join a "
                "cluster with --address"
            )


def refuse_with_resume(context: typer.Context) -> None:
    """A study goes on as it was begun. Raises: StudyError naming the options that would change it."""
    free = ("resume", "extend", "name", "results", "address", "mirror", "dry_run", "space")
    sources = {
        name: context.get_parameter_source(name) for name in context.params if name not in free
    }
    given = [
        name
        for name, source in sources.items()
        if source is not None and source.name == "COMMANDLINE"
    ]
    if given:
        named = ", ".join("--" + name.strip("_").replace("_", "-") for name in given)
        raise StudyError(
            f"--resume takes everything from the study's study.yaml, got {named}. Leave it out, or start a new study"
        )


def refuse_other_space(
    context: typer.Context, space: str, folder: StudyFolder, request: Request
) -> None:
    """A study keeps its space. Raises: StudyError for a `--space` of other content, with the way out."""
    source = context.get_parameter_source("space")
    if source is None or source.name != "COMMANDLINE":
        return
    if digest_of(load_space(find_space(space, SPACES))) != digest_of(request.space):
        raise StudyError(
            f"{folder.path}: --space must be the space that the study was begun with, got {space}, which differs. Leave it "
            f"out, or begin a new study that learns from this one: --space {space} --warm-start {folder.path} --name NEW"
        )
