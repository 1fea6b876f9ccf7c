"""`python -m ganhtr recognizer`: train a line recognizer to a file, and evaluate one."""

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

    from ganhtr.config_sections import RecognizerConfig
    from ganhtr.data.pairs import Pairs
    from ganhtr.recognizers.weights import RecognizerWeights

app = typer.Typer(no_args_is_help=True, help="Train and evaluate line recognizers.")
SECTIONS = ("data", "guide", "recognizer_training")  # those that the training of a recognizer uses
Data = Annotated[str, typer.Option(help="Source of lines: builtin, or a path.")]
CharsetFile = Annotated[
    Path | None,
    typer.Option(
        help="File with one character per line. "
        "Default: the characters of the training transcriptions."
    ),
]
Fonts = Annotated[
    Path | None,
    typer.Option(help="Folder of TTF or OTF fonts, added to the stroke fonts (built-in lines)."),
]
Kind = Annotated[str | None, typer.Option(help="crnn or transformer. Default: that of the preset.")]
Preset = Annotated[
    str, typer.Option(help="Line size: tiny (32 x 256), small (64 x 768) or seed (128 x 1024).")
]
Epochs = Annotated[
    int | None, typer.Option(help="Passes over the training lines. Default: that of the preset.")
]
Seed = Annotated[
    int | None,
    typer.Option(help="Seed of initial weights and training. Default: that of the preset."),
]
Settings = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Set a configuration key (repeatable)."),
]
Picture = Annotated[
    Path | None,
    typer.Option(help="PNG file to write: some search-validation lines with their readings."),
]


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="File to write, such as recognizer.safetensors.")],
    data: Data = "builtin",
    charset: CharsetFile = None,
    fonts: Fonts = None,
    kind: Kind = None,
    preset: Preset = "tiny",
    epochs: Epochs = None,
    seed: Seed = None,
    set_: Settings = [],  # noqa: B006
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the interrupted training of this file.")
    ] = False,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Do not start from shipped weights.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    picture: Picture = None,
    device: Device = None,
) -> None:
    """Train a recognizer with CTC on the clean training lines.

    The search-validation lines measure it; the test lines are not read. After each epoch a
    checkpoint is written to FILE.part. After Ctrl-C or a crash, --resume continues from there and
    gives the same weights as an uninterrupted training.
    """
    from ganhtr.data.source import load_pairs
    from ganhtr.recognizers.training import Recipe, part_of, train_to_file

    options = {"guide.kind": kind, "recognizer_training.epochs": epochs, "guide.seed": seed}
    settings = parse_settings(set_, SECTIONS)
    settings |= {key: value for key, value in options.items() if value is not None}
    config = recognizer_config(preset, settings)
    chosen_device = device_of(device)
    part = part_of(out)
    require_writable(out, part, resume, force)
    pairs = load_pairs(data, config.data, charset, fonts)
    start = None if from_scratch else shipped_weights(config)
    recipe = Recipe(pairs, config.guide, config.recognizer_training, start)
    describe_data(pairs)
    if resume and not part.exists():
        say(f"{part} does not exist: training starts with the first epoch")
    try:
        weights = train_to_file(out, recipe, chosen_device, say, resume=resume)
    except KeyboardInterrupt:
        resumable = f"interrupted; --resume continues from {part}"
        say(resumable if part.exists() else "interrupted in the first epoch")
        raise typer.Exit(130) from None
    say(f"written: {out}")
    measure(weights, pairs, chosen_device, out, picture)


@app.command()
def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of a trained recognizer.")],
    data: Data = "builtin",
    charset: CharsetFile = None,
    fonts: Fonts = None,
    set_: Settings = [],  # noqa: B006
    picture: Picture = None,
    device: Device = None,
) -> None:
    """Measure CER and WER of a recognizer on the clean and the degraded search-validation lines.

    The split is that of a study of these lines; if the study sets data.seed, set it here too. The
    test lines are not read.
    """
    from ganhtr.data.source import load_pairs
    from ganhtr.recognizers.weights import RecognizerWeights

    chosen_device = device_of(device)
    weights = RecognizerWeights.load(file)
    settings = parse_settings(set_, ("data",))
    for key, size in (("data.height", weights.height), ("data.width", weights.width)):
        if settings.setdefault(key, size) != size:
            raise ConfigError(
                [f"{file}: the recognizer has {key} {size}, got {settings[key]}. Omit --set {key}"]
            )
    pairs = load_pairs(data, recognizer_config("tiny", settings).data, charset, fonts)
    describe_data(pairs)
    measure(weights, pairs, chosen_device, file, picture)


def measure(
    weights: RecognizerWeights, pairs: Pairs, device: torch.device, file: Path, picture: Path | None
) -> None:
    """Print the errors of a recognizer on the search-validation lines, and draw some of them."""
    from ganhtr.atomic import write_png
    from ganhtr.charset import Charset
    from ganhtr.data.batches import LineBatches
    from ganhtr.data.notes import unknown_note
    from ganhtr.recognizers.readings import Readings
    from ganhtr.recognizers.readings_picture import readings_picture

    lines, charset = pairs.validation, Charset(weights.charset)
    if charset != pairs.charset:
        for note in unknown_note("search-validation", charset.outside(lines.transcripts)):
            say(f"note: with the recognizer's charset, {note}")
    readings = Readings.of(weights.build(device), LineBatches(lines, charset, device))
    say(f"search-validation, {len(lines)} lines:")
    for sentence in readings.summary():
        say(f"  {sentence}")
    if picture is not None:
        rates = ", ".join(f"{image} {errors.cer:.1%}" for image, errors in readings.errors.items())
        title = f"{file.name}, {len(lines)} search-validation lines, CER {rates}"
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_png(picture, readings_picture(readings, title))
        say(f"picture: {picture}")


def shipped_weights(config: Config) -> RecognizerWeights | None:
    """Return a shipped recognizer of the same kind, preferably of the same sizes, or None."""
    from ganhtr.recognizers.obtain import ROLES, shipped_recognizer

    def sizes(recognizer: RecognizerConfig) -> tuple[int, int, int]:
        return recognizer.base, recognizer.dim, recognizer.layers

    shipped = [weights for role in ROLES if (weights := shipped_recognizer(role)) is not None]
    same_kind = [weights for weights in shipped if weights.config.kind == config.guide.kind]
    # min returns the first one with equal sizes (False sorts first), else the first one
    return min(
        same_kind, key=lambda weights: sizes(weights.config) != sizes(config.guide), default=None
    )


def recognizer_config(preset: str, settings: dict[str, Any]) -> Config:
    """Return a configuration of which only the lines and the recognizer are used.

    Raises: ConfigError with all faults.
    """
    if settings.get("guide.weights"):
        raise ConfigError(["guide.weights cannot be set when a recognizer is trained. Omit it"])
    # one level, so that the generator does not limit the line size
    return build_config(preset, {"generator.levels": 1, **settings})


def require_writable(out: Path, part: Path, resume: bool, force: bool) -> None:
    """Raises: ValueError if `out` cannot be written, or if something there would be lost."""
    if out.is_dir():
        raise ValueError(f"--out: {out} is a folder. Name a file in it")
    if out.exists() and not force:
        raise ValueError(f"--out: {out} exists. Name another file, or add --force to overwrite it")
    if part.exists() and not (resume or force):
        raise ValueError(
            f"--out: the training of {out} was interrupted ({part} exists). Add --resume to "
            "continue it, or --force to start from the beginning"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(out.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "no permission")
    except OSError as error:
        raise ValueError(
            f"--out: {out} cannot be written ({error.strerror}). Name a file in another folder"
        ) from error


def describe_data(pairs: Pairs) -> None:
    """Print the size of the splits, and the notes on the lines."""
    say(
        f"data: {pairs.name}, {len(pairs.train)} training and {len(pairs.validation)} "
        f"search-validation lines, {len(pairs.charset)} characters"
    )
    for note in pairs.notes:
        say(f"note: {note}")


def say(line: str) -> None:
    """Print a line immediately, also to a pipe."""
    print(line, flush=True)
