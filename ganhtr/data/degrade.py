"""Degradations of a written line: faded ink, stains, holes, blur and others.

Each is a pure function (image, rng, strength) -> image. Strength 0 returns the image unchanged,
strength 1 looks like bad archive material. The random draws do not depend on the strength, so with
the same seed a higher strength gives more of the same damage. Sizes are proportional to H.

Legend: H height, W width; images are float32 (H, W) in [0, 1], 0 ink, 1 white paper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d, shift

Damage = Callable[[np.ndarray, np.random.Generator, float], np.ndarray]


def _clouds(shape: tuple[int, int], rng: np.random.Generator, cell: float) -> np.ndarray:
    """Smooth random field (H, W) float32 in [0, 1] with patches about `cell` pixels wide."""
    height, width = shape
    knots = rng.random((int(height / cell) + 2, int(width / cell) + 2), dtype=np.float32)
    field = Image.fromarray(knots).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(field), 0, 1)  # bicubic interpolation overshoots


def _cell(image: np.ndarray, heights: float) -> float:
    """A length in line heights as pixels, at least one."""
    return max(1.0, heights * image.shape[0])


def _grid(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates y (H, 1) and x (1, W), in line heights."""
    height, width = image.shape
    y, x = np.ogrid[:height, :width]
    return (y / height).astype(np.float32), (x / height).astype(np.float32)


def _near(image: np.ndarray, middle: float, reach: float) -> slice:
    """Columns within `reach` of `middle` (in line heights), and one more on either side."""
    height = image.shape[0]
    return slice(
        max(0, int((middle - reach) * height) - 1), max(0, int((middle + reach) * height) + 3)
    )


def _count(image: np.ndarray, rng: np.random.Generator, per_height: float) -> int:
    """Draw a number of marks: 1 plus a Poisson number, `per_height` per line height of width."""
    return 1 + int(rng.poisson(per_height * image.shape[1] / image.shape[0]))


def _ink(image: np.ndarray) -> np.ndarray:
    """How much darker than the paper each pixel is."""
    # Most of a line is paper, so the median is its tone; on a scan it is seldom white.
    return np.clip(float(np.median(image)) - image, 0, None)


def fade_ink(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Fade the ink, unevenly, and flake it off in specks."""
    patches = _clouds(image.shape, rng, _cell(image, 0.8))
    flakes = _clouds(image.shape, rng, _cell(image, 0.07))
    lost = strength * (0.35 + 0.3 * patches + 0.35 * np.clip(3 * (flakes - 0.5), 0, 1))
    return image + _ink(image) * np.clip(lost, 0, 0.88)


def bleed_through(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Let the writing of the verso show through: the line, mirrored, moved, blurred and faint."""
    height, width = image.shape
    ghost = np.roll(_ink(image)[:, ::-1], int(rng.integers(width)), axis=1)
    ghost = shift(ghost, (height * rng.uniform(-0.3, 0.3), 0), order=1)
    ghost = gaussian_filter(ghost, 0.03 * height)
    # Normalised, because ink that soaked in long ago stays dark even if this side's ink has faded.
    ghost *= _clouds(image.shape, rng, _cell(image, 1.0)) / max(float(ghost.max()), 0.2)
    return image * np.clip(1 - 0.55 * strength * ghost, 0, 1)


def stain(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add water stains: dark patches with a darker tide line at their ragged edge."""
    y, x = _grid(image)
    edge = 0.5 * _clouds(image.shape, rng, _cell(image, 0.3))
    dark = np.zeros_like(image)
    for _ in range(_count(image, rng, 0.15)):
        middle = rng.uniform(0, x[0, -1] + 1e-3)
        across, down = rng.uniform(0.5, 1.8), rng.uniform(0.4, 1.0)
        near = _near(image, middle, 1.3 * across)  # beyond it the tide line underflows in float32
        right, below = (x[:, near] - middle) / across, (y - rng.uniform(0, 1)) / down
        distance = np.hypot(right, below) + edge[:, near]
        inside = np.clip((1 - distance) * 8, 0, 1)
        tide_line = np.exp(-(((distance - 0.95) / 0.07) ** 2))
        dark[:, near] = np.maximum(dark[:, near], 0.28 * inside + 0.22 * tide_line)
    return image * np.clip(1 - strength * dark, 0, 1)


def foxing(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add small spots of mould."""
    height, width = image.shape
    dark = np.zeros_like(image)
    for radius in (0.035, 0.09):
        n = _count(image, rng, 0.12 / radius)
        depth = rng.uniform(0.3, 1, size=n)
        rows, columns = rng.integers(height, size=n), rng.integers(width, size=n)
        sigma = radius * height
        spots = np.zeros_like(image)
        spots[rows, columns] = depth
        # A 2-D Gaussian in two passes; the first is needed only in columns that have a spot.
        spots[:, columns] = gaussian_filter1d(spots[:, columns], sigma, axis=0)
        spots = gaussian_filter1d(spots, sigma, axis=1)
        dark += spots * max(1.0, 2 * np.pi * sigma**2)  # undoes the Gaussian's normalisation
    return image * (1 - np.clip(0.6 * strength * dark, 0, 0.8))


def fold(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add one or two creases: a shadow beside a light ridge where the ink is worn off."""
    y, x = _grid(image)
    for _ in range(int(rng.integers(1, 3))):
        slope, middle = rng.uniform(-0.4, 0.4), rng.uniform(0, x[0, -1] + 1e-3)
        distance = x - middle - slope * (y - 0.5)
        if rng.random() < 0.35:  # a crease along the line instead of across it
            distance = y - rng.uniform(0.15, 0.85) - 0.05 * slope * (x - middle)
        worn = np.exp(-((distance / 0.03) ** 2))
        shadow = np.exp(-(((distance - 0.06) / 0.05) ** 2))
        image = image + (1 - image) * np.clip(0.8 * strength * worn, 0, 1)
        image = image * np.clip(1 - 0.45 * strength * shadow, 0, 1)
    return image


def holes(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add worm holes that show the darker leaf below. A higher strength widens them."""
    y, x = _grid(image)
    ragged = 0.35 * _clouds(image.shape, rng, _cell(image, 0.1))
    image = image.copy()
    for _ in range(_count(image, rng, 0.25)):
        middle, level = rng.uniform(0, x[0, -1] + 1e-3), rng.uniform(0, 1)
        long, radius = rng.uniform(0.6, 2.0), rng.uniform(0.07, 0.18)
        floor = rng.uniform(0.15, 0.4)
        near = _near(image, middle, strength * long * radius)
        right, below = (x[:, near] - middle) / long, (y - level) * long**0.5
        distance = np.hypot(right, below) / radius + ragged[:, near]
        gone = np.clip((strength - distance) * 4, 0, 1)
        image[:, near] = image[:, near] * (1 - gone) + floor * gone
    return image


def blur(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Blur the image, with a different sigma for each axis: out of focus, or a moving camera."""
    sigma = strength * image.shape[0] * rng.uniform(0.015, 0.035, size=2)
    return gaussian_filter(image, tuple(sigma))


def uneven_paper(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Darken the paper: brown, cloudy and fibrous, with light that falls off to one side."""
    tint, slope = rng.uniform(0.08, 0.22), rng.uniform(-0.12, 0.12)
    dark = tint + slope * np.linspace(-1, 1, image.shape[1], dtype=np.float32)
    for size, depth in ((1.5, 0.2), (0.25, 0.1), (0.06, 0.06)):
        dark = dark + depth * _clouds(image.shape, rng, _cell(image, size))
    return image * (1 - np.clip(strength * dark, 0, 0.85))


def noise(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Add fine and coarse grain, as of a film or a sensor."""
    fine = rng.standard_normal(image.shape, dtype=np.float32)
    coarse = _clouds(image.shape, rng, _cell(image, 0.05)) - 0.5
    return np.clip(image + strength * (0.035 * fine + 0.1 * coarse), 0, 1)


# In the order in which they occur: the ink ages, then the paper, then a camera takes the image.
DEGRADATIONS: dict[str, Damage] = {
    "fade_ink": fade_ink,
    "bleed_through": bleed_through,
    "uneven_paper": uneven_paper,
    "stain": stain,
    "foxing": foxing,
    "fold": fold,
    "holes": holes,
    "blur": blur,
    "noise": noise,
}
STRATEGIES: dict[str, tuple[str, ...]] = {
    "all": tuple(DEGRADATIONS),
    "ink": ("fade_ink", "bleed_through"),
    "paper": ("uneven_paper", "stain", "foxing", "fold", "holes"),
    "camera": ("blur", "noise"),
}
ALWAYS = ("uneven_paper", "noise")  # applied to every line by the strategy `all`
SHARE = 0.6  # probability of each other damage


def _chosen(rng: np.random.Generator, strategy: str) -> Iterator[tuple[Damage, float]]:
    """Yield the damages of a line, each with its share of the strength.

    A generator, because its draws and those of the damages alternate in the random stream.
    """
    members = STRATEGIES[strategy]
    if strategy == "all":
        for name in members:
            chosen, share = rng.random() < SHARE, rng.uniform(0.5, 1.0)
            if chosen or name in ALWAYS:
                yield DEGRADATIONS[name], share
    else:
        draws = rng.random(len(members))
        for name, draw in zip(members, draws, strict=True):
            if draw < SHARE or draw == draws.min():  # the smallest draw, so that one is applied
                yield DEGRADATIONS[name], rng.uniform(0.5, 1.0)


def degrade(
    image: np.ndarray, rng: np.random.Generator, strength: float, strategy: str = "all"
) -> np.ndarray:
    """Apply a random choice of damages to a line, each up to `strength`.

    The strategy `all` applies every damage of ALWAYS, and each other one with probability SHARE.
    The strategies `ink`, `paper` and `camera` apply each damage of their group with probability
    SHARE, but at least one.

    Shapes: (H, W) uint8 -> (H, W) uint8; strength 0 gives an equal copy.
    Raises: ValueError for a negative strength or an unknown strategy.
    """
    if strength < 0:
        raise ValueError(f"degrade: strength must be at least 0, got {strength:g}")
    if strategy not in STRATEGIES:
        raise ValueError(
            f"degrade: strategy must be one of {', '.join(STRATEGIES)}, got {strategy!r}"
        )
    line = image.astype(np.float32) / 255
    for damage, share in _chosen(rng, strategy):
        line = damage(line, rng, strength * share)
    return np.rint(np.clip(line, 0, 1) * 255).astype(np.uint8)
