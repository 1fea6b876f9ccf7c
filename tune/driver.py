"""Runs a study from its request to its report; and a single trial, without Ray."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import torch

from ganhtr.data.atomic import write_atomically
from ganhtr.data.pairs import Pairs
from ganhtr.data.source import load_pairs
from ganhtr.train.evaluate import reference_metrics
from ganhtr.train.fit import Bench
from ganhtr.train.inputs import WEAK_READER, TrialInputs, prepare_inputs
from tune.cluster import noise_to, ray_session
from tune.monitor import Monitor, clock
from tune.objective import OBJECTIVES
from tune.report_text import Arms, write_report
from tune.searcher import OptunaSearcher
from tune.study import Request, StudyError, StudyFolder
from tune.trainable import GanHtrTrial, TrialPlan
from tune.trial_folder import to_json
from tune.trial_table import best_row, collect, write_best, write_csv

Say = Callable[[str], None]


def open_data(request: Request, say: Say) -> Pairs:
    """The study's pairs, made or read now where they are not in the cache. Raises: ValueError naming what is wrong with the data."""
    data = request.config().data
    say(f"data: {request.data}, lines of {data.height} x {data.width} px (made on first use)")
    pairs = load_pairs(request.data, data, *(Path(p) if p else None for p in (request.charset, request.fonts)))
    say(f"data: {len(pairs.train)} training and {len(pairs.validation)} search-validation lines, {len(pairs.charset)} characters")
    return pairs


def inputs_of(request: Request, pairs: Pairs, say: Say) -> TrialInputs:
    """The study's pairs with both readers, trained now where they are not in the cache."""
    torch.set_num_threads(os.cpu_count() or 1)
    inputs = prepare_inputs(request.config(), pairs, torch.device(request.device), say)
    for note in inputs.pairs.notes:
        say(f"note: {note}")
    return inputs


def objective_of(request: Request, inputs: TrialInputs, say: Say) -> str:
    """The space's objective, or PSNR where it rests on text that the readers are too weak to judge."""
    objective = request.space.objective
    if not (OBJECTIVES[objective].reads and inputs.weak_reader):
        return objective
    say(f"note: the readers are too weak to judge text (CER on clean lines {inputs.guide.cer:.2f} guide, {inputs.judge.cer:.2f} judge, "
        f"above {WEAK_READER:.2f}): the search maximises PSNR instead of {objective}")
    return "psnr"


def plan_of(request: Request, folder: StudyFolder, objective: str) -> TrialPlan:
    """What the study's trials have in common."""
    stopping = request.space.early_stopping
    return TrialPlan(request.config(), objective, stopping.patience, stopping.min_delta, folder.path,
                     max(1, int(request.cpus_per_trial)), request.device)


def write_start(folder: StudyFolder, inputs: TrialInputs, objective: str, device: str) -> None:
    """The files that stand before the first trial: readers, reference rows and environment.

    Raises: StudyError when the study was begun with other lines or readers: its trials could not be compared.
    """
    pairs, held = inputs.pairs, folder.read_json("environment.json")
    if held:
        began = (held["data"]["digest"], *(held["readers"][role]["digest"] for role in ("guide", "judge")))
        if began != (pairs.digest, inputs.guide.digest, inputs.judge.digest):
            raise StudyError(f"{folder.path}: --resume must find the data and the readers that the study was begun with, got others "
                             f"(data {pairs.digest}, begun with {began[0]}). Put the data back as it was, or start a new study")
    for role, reader in (("guide", inputs.guide), ("judge", inputs.judge)):
        if not folder.reader(role).exists():  # a study of an older version has none
            reader.save(folder.reader(role))
    if held:
        return
    bench = Bench.of(inputs, torch.device("cpu"))
    write_atomically(folder.path / "references.json", to_json(reference_metrics(bench.validation, bench.guide, bench.judge)))
    folder.write_environment({
        "objective": objective, "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "data": {"name": pairs.name, "digest": pairs.digest, "train": len(pairs.train), "validation": len(pairs.validation),
                 "charset": pairs.charset.characters, "notes": pairs.notes},
        "readers": {role: {"digest": reader.digest, "cer_clean": reader.cer}
                    for role, reader in (("guide", inputs.guide), ("judge", inputs.judge))}})


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Inside, SIGTERM does what Ctrl-C does, also where a script started the search in the background and so had SIGINT ignored."""
    held = signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, held)
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_search(folder: StudyFolder, request: Request, pairs: Pairs, address: str | None, stream: TextIO) -> bool:
    """Runs what is left of a study. Returns whether it is finished; False when it was interrupted.

    Raises: StudyError while another search has the folder.
    """
    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    with folder.locked():
        started = time.time()
        inputs = inputs_of(request, pairs, say)
        objective = objective_of(request, inputs, say)
        write_start(folder, inputs, objective, request.device)
        searcher = OptunaSearcher(request.space, folder.journal, request.trials, request.seed)
        searcher.open()
        finished = True
        if searcher.remaining:
            with noise_to(folder.log) as real:
                finished = run_trials(request, plan_of(request, folder, objective), inputs, searcher, address, real)
        folder.add_session(started)
        finish(folder, request, searcher, stream)
        if not finished:
            say(f"stopped. Go on with: python tune/search.py --resume --name {folder.path.name} --results {folder.path.parent}")
        return finished


def run_trials(request: Request, plan: TrialPlan, inputs: TrialInputs, searcher: OptunaSearcher, address: str | None,
               real: TextIO) -> bool:
    """Hands the trials to Ray Tune. Returns whether all of them ended."""
    from ray import tune as ray_tune

    pairs = inputs.pairs
    shared = sum(a.nbytes for part in (pairs.train, pairs.validation) for a in (part.clean, part.degraded))
    shared += inputs.taps.nbytes if inputs.taps is not None else 0
    logs = plan.folder / "logs"
    shutil.rmtree(logs / "ray", ignore_errors=True)  # Ray's own state, with pickles in it: nothing here is read again
    ended = request.trials - searcher.remaining
    if address:
        print(f"joining Ray at {address}", file=real, flush=True)
    epochs = plan.config.train.epochs
    with ray_session(address, shared) as cluster, Monitor(real, request.trials, epochs, plan.objective, ended) as monitor:
        if cluster.cpus < request.cpus_per_trial or cluster.gpus < request.gpus_per_trial:
            raise StudyError(f"--cpus-per-trial and --gpus-per-trial must be at most what the cluster has ({cluster.cpus:g} and "
                             f"{cluster.gpus:g}), got {request.cpus_per_trial:g} and {request.gpus_per_trial:g}")
        if cluster.dashboard:
            monitor.say(f"Ray dashboard: {cluster.dashboard} (its token: `ray get-auth-token`)")
        trainable = ray_tune.with_resources(
            ray_tune.with_parameters(GanHtrTrial, plan=plan, inputs=inputs),
            {"cpu": request.cpus_per_trial, "gpu": request.gpus_per_trial})
        tuner = ray_tune.Tuner(
            trainable,
            tune_config=ray_tune.TuneConfig(search_alg=searcher, num_samples=searcher.remaining, reuse_actors=True,
                                            trial_dirname_creator=lambda trial: trial.trial_id),
            run_config=ray_tune.RunConfig(name="ray", storage_path=str(logs), verbose=0, callbacks=[monitor],
                                          checkpoint_config=ray_tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                                          failure_config=ray_tune.FailureConfig(max_failures=2)))
        with sigterm_as_interrupt():  # anew: Ray has put a handler of its own in its place, which ends the process
            try:
                tuner.fit()
            except KeyboardInterrupt:
                monitor.say("interrupted")
            finally:
                searcher.suspend()
    shutil.rmtree(logs / "ray", ignore_errors=True)
    searcher.open()
    return not searcher.remaining


def finish(folder: StudyFolder, request: Request, searcher: OptunaSearcher, stream: TextIO, arms: Arms | None = None,
           images: bool = True) -> None:
    """Writes trials.csv, best/ and report.md (of these arms) from what there is, and prints the table and the paths."""
    rows = collect(folder, searcher.all_trials())
    write_csv(folder, rows)
    best = best_row(rows)
    if best is not None:
        write_best(folder, best)
    print(write_report(folder, request, rows, arms, images), file=stream)
    for name in ("report.md", "trials.csv", "best"):
        if (folder.path / name).exists():
            print(f"{folder.path / name}", file=stream)


def run_single(folder: StudyFolder, request: Request, pairs: Pairs, stream: TextIO) -> dict[str, Any]:
    """Trains one configuration in this process, through the same trainable, with no Ray started. Returns the last result."""
    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    with folder.locked():
        inputs = inputs_of(request, pairs, say)
        plan = plan_of(request, folder, objective_of(request, inputs, say))
        write_start(folder, inputs, plan.objective, request.device)

        class SingleTrial(GanHtrTrial):
            def setup(self, config: dict[str, Any]) -> None:  # type: ignore[override]
                super().setup(config, plan, inputs)

        arm = "off" if plan.config.contrastive.formulation == "none" else "on"
        trial = SingleTrial({"id": "single", "arm": arm, "proposed_by": "user", "values": {}})
        started, shown = time.monotonic(), OBJECTIVES[plan.objective].shown
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trial.train()
            if "value" in result and result["status"] != "failed":
                m = result["metrics"]
                say(f"epoch {result['epoch']}/{plan.config.train.epochs}: {plan.objective} {shown(result['value'])} (best "
                    f"{shown(result['best_value'])}), PSNR {m['psnr']:.2f} dB, SSIM {m['ssim']:.3f}, CER {m['cer']:.3f}, "
                    f"WER {m['wer']:.3f}, {clock(time.monotonic() - started)}")
        say(f"{result['status']}: {result.get('error') or folder.path / 'trials' / 'single'}")
        return result
