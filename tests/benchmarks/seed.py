"""Training at the sizes of the original experiment, without Ray.

`python tests/benchmarks/seed.py [--device cuda] [--epochs 30] [--steps 100]
[--recognizer-epochs 10]`

Trains preset `seed` on built-in lines of 128 x 1024, OFF and ON, with `fit`, and prints for each
arm the best epoch, seconds per step, peak memory of the device, and the share of its measured FP32
matrix rate that a step achieves.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganhtr.config import build_config
from ganhtr.data.source import BUILTIN, load_pairs
from ganhtr.precision import require_fp32
from ganhtr.train.fit import Bench, fit
from ganhtr.train.inputs import prepare_inputs
from ganhtr.train.state import build_state
from ganhtr.train.step import train_step

ARMS = {
    "OFF": {"contrastive.formulation": "none"},
    "ON": {"contrastive.formulation": "infonce", "head.kind": "linear"},
}
ORIGINAL = {"train.discriminator_optimizer": "sgd"}


def wait(device):
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device, size):
    """FP32 operations a second in a product of two square matrices, the best of five."""
    require_fp32()
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    best = float("inf")
    for _ in range(6):
        wait(device)
        started = time.perf_counter()
        a @ b
        wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


class Operations(TorchDispatchMode):
    """Counts the operations of products and convolutions, as PyTorch's own table has them.

    Its FlopCounterMode counts by module too, with hooks that do not go with torch.autograd.grad.
    """

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Runs an operation and adds what it costs."""
        out = function(*args, **(kwargs or {}))
        if function._overloadpacket in flop_registry:
            self.total += flop_registry[function._overloadpacket](
                *args, **(kwargs or {}), out_val=out
            )
        return out


def step_flops(config, bench, charset, device):
    """Operations of one training step, as PyTorch counts them (products and convolutions)."""
    state = build_state(config, charset, bench.guide.widths, device)
    with Operations() as counted:
        train_step(
            state,
            bench.guide,
            bench.train.take(np.arange(config.train.batch_size)),
            bench.pixels_per_character,
        )
    return counted.total


def main():
    """Prints the figures of both arms."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--steps", type=int, default=100)
    options.add_argument("--lines", type=int, default=3200)
    options.add_argument("--recognizer-epochs", type=int, default=10)
    arguments = options.parse_args()
    device = torch.device(arguments.device)
    shared = {
        "data.lines": arguments.lines,
        "recognizer_training.epochs": arguments.recognizer_epochs,
        "train.epochs": arguments.epochs,
        "train.steps_per_epoch": arguments.steps,
        **ORIGINAL,
    }
    config = build_config("seed", shared)
    inputs = prepare_inputs(
        config, load_pairs(BUILTIN, config.data), device, lambda line: print(line, flush=True)
    )
    bench, charset = Bench.of(inputs, device), inputs.pairs.charset
    rate = matrix_rate(device, 8192 if device.type == "cuda" else 1024)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, FP32 matrix rate {rate / 1e12:.2f} TFLOP/s")
    for arm, overrides in ARMS.items():
        arm_config = config.replace(overrides)
        flops, seconds, best, peak = step_flops(arm_config, bench, charset, device), [], None, 0.0
        for report in fit(build_state(arm_config, charset, bench.guide.widths, device), bench):
            metrics = report.metrics()
            seconds.append((report.seconds - report.validation_seconds) / arguments.steps)
            peak = max(peak, report.peak_memory_mb)
            score = metrics["psnr"] - 50 * metrics["cer"]
            if best is None or score > best[0]:
                best = (score, report.epoch, metrics)
        _, epoch, m = best
        took = statistics.median(seconds)
        print(
            f"{arm}: {len(seconds)} epochs; best {epoch}: PSNR {m['psnr']:.2f} dB, "
            f"SSIM {m['ssim']:.4f}, CER {m['cer']:.3f}, WER {m['wer']:.3f}; {took:.3f} s a step, "
            f"{peak:.0f} MiB at most, {flops / 1e12:.2f} TFLOP a step, "
            f"{flops / took / rate:.0%} of the matrix rate",
            flush=True,
        )


if __name__ == "__main__":
    main()
