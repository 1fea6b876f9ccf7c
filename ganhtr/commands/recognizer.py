"""`python -m ganhtr recognizer`: trains a line recognizer to a file that a study can name, and measures one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganhtr.commands.device import Device, device_of
from ganhtr.config import Config, ConfigError, build_config, parse_settings

if TYPE_CHECKING:
    import torch

    from ganhtr.data.pairs import Pairs
    from ganhtr.recognizers.weights import RecognizerWeights

app = typer.Typer(no_args_is_help=True, help="Trains line recognizers, and measures them.")
TRAINED_BY = (
    "data",
    "guide",
    "recognizer_training",
)  # the keys that a recognizer's training looks at
Data = Annotated[str, typer.Option(help="builtin, or the path of a source of lines.")]
CharsetFile = Annotated[
    Path | None,
    typer.Option(help="One character a line. Default: those of the training transcriptions."),
]
Fonts = Annotated[
    Path | None,
    typer.Option(help="TTF or OTF files for the built-in lines, beside the stroke fonts."),
]
Settings = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Sets a configuration key; may be repeated."),
]
Picture = Annotated[
    Path | None, typer.Option(help="PNG of some search-validation lines with their readings.")
]


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="The file to write, such as recognizer.safetensors.")],
    data: Data = "builtin",
    charset: CharsetFile = None,
    fonts: Fonts = None,
    kind: Annotated[
        str | None, typer.Option(help="crnn or transformer. Default: the preset's.")
    ] = None,
    preset: Annotated[
        str, typer.Option(help="Sizes: tiny (32 x 256), small (64 x 768), seed (128 x 1024).")
    ] = "tiny",
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training lines. Default: the preset's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of weights and training. Default: the preset's.")
    ] = None,
    set_: Settings = [],  # noqa: B006
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with a training to this file that was broken off."),
    ] = False,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", help="Do not start from a shipped recognizer of the kind."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    picture: Picture = None,
    device: Device = None,
) -> None:
    """Trains a recognizer with CTC on the clean training lines.

    Search-validation lines measure it, the test split stays closed. After each epoch a checkpoint is written to FILE.part; after Ctrl-C
    or a crash, --resume goes on from there and ends with the same weights.
    """
    from ganhtr.data.source import load_pairs
    from ganhtr.recognizers.training import Recipe, part_of, train_to_file

    options = {"guide.kind": kind, "recognizer_training.epochs": epochs, "guide.seed": seed}
    config = config_of(
        preset,
        {
            **parse_settings(set_, TRAINED_BY),
            **{key: value for key, value in options.items() if value is not None},
        },
    )
    place = device_of(device)
    check_out(out, part_of(out), resume, force)
    pairs = load_pairs(data, config.data, charset, fonts)
    start = None if from_scratch else start_of(config)
    say_data(pairs)
    if resume and not part_of(out).exists():
        say(f"there is no {part_of(out)} to go on from: starts with the first epoch")
    try:
        weights = train_to_file(
            out,
            Recipe(pairs, config.guide, config.recognizer_training, start),
            place,
            say,
            resume=resume,
        )
    except KeyboardInterrupt:
        say(
            f"interrupted; --resume goes on from {part_of(out)}"
            if part_of(out).exists()
            else "interrupted in the first epoch"
        )
        raise typer.Exit(130) from None
    say(f"written: {out}")
    measure(weights, pairs, place, out, picture)


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(help="A trained recognizer.")],
    data: Data = "builtin",
    charset: CharsetFile = None,
    fonts: Fonts = None,
    set_: Settings = [],  # noqa: B006
    picture: Picture = None,
    device: Device = None,
) -> None:
    """Measures a recognizer on the search-validation lines, clean and degraded: CER and WER against the untouched transcription.

    The split is the one that a study of these lines sees (--set data.seed=... where the study sets it); the test split stays closed.
    """
    from ganhtr.data.source import load_pairs
    from ganhtr.recognizers.weights import RecognizerWeights

    place = device_of(device)
    weights = RecognizerWeights.load(file)
    settings = parse_settings(set_, ("data",))
    for key, own in (("data.height", weights.height), ("data.width", weights.width)):
        if settings.setdefault(key, own) != own:
            raise ConfigError(
                [
                    f"{file}: {key} must be the recognizer's ({own}), got {settings[key]}. Leave it out"
                ]
            )
    pairs = load_pairs(data, config_of("tiny", settings).data, charset, fonts)
    say_data(pairs)
    measure(weights, pairs, place, file, picture)


def measure(
    weights: RecognizerWeights, pairs: Pairs, device: torch.device, file: Path, picture: Path | None
) -> None:
    """Says how well a recognizer reads the search-validation lines, with its own charset, and draws some of them."""
    from ganhtr.atomic import write_atomically
    from ganhtr.charset import Charset
    from ganhtr.data.batches import LineBatches
    from ganhtr.data.source import unknown_note
    from ganhtr.recognizers.readings import Readings
    from ganhtr.recognizers.readings_picture import readings_picture

    own = Charset(weights.charset)
    if own != pairs.charset:
        for note in unknown_note("search-validation", own.outside(pairs.validation.transcripts)):
            say(f"note: by the recognizer's charset, {note}")
    readings = Readings.of(weights.build(device), LineBatches(pairs.validation, own, device))
    say(f"search-validation, {len(pairs.validation)} lines:")
    for line in readings.words():
        say(f"  {line}")
    if picture is not None:
        rates = ", ".join(f"{image} {held.cer:.1%}" for image, held in readings.errors.items())
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            picture,
            readings_picture(
                readings,
                f"{file.name}, {len(pairs.validation)} search-validation lines, CER {rates}",
            ),
        )
        say(f"picture: {picture}")


def start_of(config: Config) -> RecognizerWeights | None:
    """The shipped recognizer of the same kind, of the same sizes if there is one."""
    from ganhtr.recognizers.obtain import ROLES, shipped_recognizer

    alike = [
        held
        for role in ROLES
        if (held := shipped_recognizer(role)) is not None and held.config.kind == config.guide.kind
    ]
    sizes = (config.guide.base, config.guide.dim, config.guide.layers)
    return min(
        alike,
        key=lambda held: (held.config.base, held.config.dim, held.config.layers) != sizes,
        default=None,
    )


def config_of(preset: str, settings: dict[str, Any]) -> Config:
    """The configuration, of which only the lines and the recognizer count here. Raises: ConfigError with every fault."""
    if settings.get("guide.weights"):
        raise ConfigError(
            [
                "guide.weights must be left out here, where a recognizer is trained; a study names them"
            ]
        )
    return build_config(
        preset, {"generator.levels": 1, **settings}
    )  # no generator need halve these lines


def check_out(out: Path, part: Path, resume: bool, force: bool) -> None:
    """Refuses what would be lost, and what cannot be written. Raises: ValueError."""
    if out.is_dir():
        raise ValueError(f"--out must be a file, got the folder {out}. Name a file in it")
    if out.exists() and not force:
        raise ValueError(
            f"--out must be a new file, got {out}, which is there already. Name another, or add --force to overwrite it"
        )
    if part.exists() and not (resume or force):
        raise ValueError(
            f"--out must be a new file, got {out}, whose training was broken off ({part}). Add --resume to go on with it, or "
            "--force to start anew"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(out.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission")
    except OSError as error:
        raise ValueError(
            f"--out must be a file in a folder that can be written, got {out} ({error.strerror}). Name another"
        ) from error


def say_data(pairs: Pairs) -> None:
    """Says what there is to train on and to measure with, and what was noted of it."""
    say(
        f"data: {pairs.name}, {len(pairs.train)} training and {len(pairs.validation)} search-validation lines, "
        f"{len(pairs.charset)} characters"
    )
    for note in pairs.notes:
        say(f"note: {note}")


def say(line: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(line, flush=True)
