"""A hand-written study folder with known numbers, laid out as tune/study/trial_folder.py does."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ganhtr.config import build_config
from tests.tune.conftest import SMALL
from tune.study.folder import StudyFolder
from tune.study.trial_table import Row

WEIGHTS = {"pixel": 200.0, "feature": 5.0, "ctc": 1.0, "adversarial": 3.0}
ON = {"contrastive.formulation": "infonce", "contrastive.weight": 2.0}
OFF = {"contrastive.formulation": "none"}


@dataclass
class Made:
    """One trial; what is not passed is filled in.

    psnr, cer: one value per epoch. steps: one list per epoch for each loss.
    """

    id: str
    seed: int
    psnr: list = field(default_factory=lambda: [10.0, 20.0])
    cer: list = field(default_factory=lambda: [0.5, 0.2])
    steps: dict = field(default_factory=dict)
    values: dict | None = None
    status: str = "complete"
    error: str | None = None
    diagnostics: dict = field(default_factory=dict)

    @property
    def arm(self):
        return self.id.split("-")[0]

    @property
    def keys(self):
        return {**(OFF if self.arm == "off" else ON), **(self.values or {})}

    def losses(self, epoch):
        """Step values of an epoch, by name."""
        plain = {
            "pixel": [0.01, 0.03],
            "feature": [0.3, 0.3],
            "ctc": [10.0, 14.0],
            "adversarial": [1.0, 1.0],
            "discriminator": [1.3, 1.4],
        }
        if self.arm == "on":
            plain["contrastive"] = [1.0, 1.2]
        values_of_steps = {
            **plain,
            **{
                name: lists[epoch] for name, lists in self.steps.items() if name != "generator_norm"
            },
        }
        kept = {
            name: [value for value in values if value is not None]
            for name, values in values_of_steps.items()
        }
        means = {
            name: sum(values) / len(values) if values else None for name, values in kept.items()
        }
        total = sum(
            weight * (means[name] or 0) for name, weight in WEIGHTS.items()
        ) + 2 * means.get("contrastive", 0)
        return {**values_of_steps, "total": [total, total]}, {**means, "total": total}

    def entry(self, epoch):
        """An epoch as the metrics file has it."""
        losses, means = self.losses(epoch)
        norms = self.steps.get("generator_norm", [[0.5, 1.5]] * len(self.psnr))[epoch]
        return {
            "epoch": epoch + 1,
            "phase": "train",
            "current_ctc_weight": 1.0,
            "losses": losses,
            "training_losses": {
                **means,
                "gradient_norm": {
                    "generator_mean": float(np.mean(norms)),
                    "generator_max": max(norms),
                    "discriminator_mean": 0.1,
                },
            },
            "validation": self.validation(epoch),
            "best_model_saved": True,
            "patience_counter": 0,
            "epoch_time_seconds": 2.0,
            "diagnostics": {
                **self.extra(epoch),
                "peak_memory_mb": 0.0,
                "train_infeasible": 0.0,
                "infeasible": 0.0,
                "steps": {"generator_norm": norms},
                **self.diagnostics,
            },
        }

    def validation(self, epoch):
        return {"psnr": self.psnr[epoch], "ssim": 0.9, "cer": self.cer[epoch], "wer": 0.4}

    def extra(self, epoch):
        return {
            "judge_cer": self.cer[epoch] + 0.01 if self.cer[epoch] is not None else None,
            "judge_wer": 0.41,
        }

    @property
    def best(self):
        """The epoch of the best score, from 0."""
        scores = [
            -1e9 if None in pair else pair[0] - 50 * pair[1]
            for pair in zip(self.psnr, self.cer, strict=True)
        ]
        return int(np.argmax(scores)) if scores else None

    def write(self, study: Path):
        """Puts its files into a study folder and gives its row."""
        folder, best = study / "trials" / self.id, self.best
        (folder / "metrics").mkdir(parents=True)
        config = build_config("tiny", {**SMALL, **self.keys, "train.seed": self.seed}).flat()
        (folder / "config.json").write_text(
            json.dumps({"id": self.id, "arm": self.arm, "config": config})
        )
        entries = [self.entry(epoch) for epoch in range(len(self.psnr))]
        (folder / "metrics/training_metrics_fp32.json").write_text(
            json.dumps({"hyperparameters": config, "epochs": entries})
        )
        metrics = {} if best is None else {**self.validation(best), **self.extra(best)}
        value = (
            None if best is None else float(self.psnr[best] or 0) - 50 * float(self.cer[best] or 0)
        )
        return Row(
            self.id,
            self.arm,
            "test",
            self.status,
            value,
            None if best is None else best + 1,
            len(self.psnr),
            2.0 * len(self.psnr),
            metrics,
            {},
            {"train.seed": self.seed, **self.keys},
            self.error,
            0.9,
        )

    def draw(self, study: Path, epochs=(5, 10), shade=0):
        """Its samples: 4 x 12 pixels, the shade of which says epoch and line."""
        folder = study / "trials" / self.id / "samples"
        folder.mkdir(parents=True)
        for line in (0, 1):
            for name, grey in [("best", 1), *((f"epoch_{epoch:04d}", epoch) for epoch in epochs)]:
                image = Image.fromarray(np.full((4, 12), 10 * grey + line + shade, dtype=np.uint8))
                image.save(folder / f"comparison_{name}_sample_{line}.png")


def make_study(
    path,
    request,
    trials,
    name="made",
    experiment=True,
    notes=(),
    data="lines",
    recognizers=(0.02, 0.04),
):
    """The study's folder, its request and its rows."""
    folder = StudyFolder(path / name)
    folder.path.mkdir(parents=True)
    rows = [trial.write(folder.path) for trial in trials]
    if experiment:
        request = replace(
            request, space=replace(request.space, name="experiment", parameters=(), fixed={})
        )
    clean = {
        "psnr": 100.0,
        "ssim": 1.0,
        "cer": 0.02,
        "wer": 0.1,
        "judge_cer": 0.03,
        "judge_wer": 0.1,
    }
    (folder.path / "references.json").write_text(
        json.dumps({"degraded": clean, "sauvola": clean, "clean": clean})
    )
    (folder.path / "environment.json").write_text(
        json.dumps(
            {
                "objective": "score",
                "python": "3.11",
                "packages": {"torch": "2"},
                "commit": "abc",
                "gpu": None,
                "machine": {"system": "Linux", "processor": "x86_64", "cpus": 2, "memory_gb": 8.0},
                "data": {
                    "name": data,
                    "train": 12,
                    "validation": 5,
                    "charset": "abc",
                    "notes": list(notes),
                },
                "recognizers": {
                    "guide": {"cer_clean": recognizers[0]},
                    "judge": {"cer_clean": recognizers[1]},
                },
            }
        )
    )
    (folder.path / "study.yaml").write_text("{}")
    return folder, request, rows


def two_arms(off=(20.0, 21.0, 22.0), on=(19.0, 19.5, 21.5)):
    """Both arms, a trial a seed, with these PSNRs at the best (second) epoch."""
    return [
        *(Made(f"off-{seed:03d}", seed, [10.0, psnr]) for seed, psnr in enumerate(off)),
        *(Made(f"on-{seed:03d}", seed, [10.0, psnr]) for seed, psnr in enumerate(on)),
    ]
