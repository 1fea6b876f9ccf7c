"""Line losses against naive loops and a library, and one contract for all entries of the table."""

import math
from pathlib import Path

import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss, TripletMarginLoss

from ganhtr.config import RULES, build_config
from ganhtr.config_sections import FRAME_LOSSES, LINE_LOSSES
from ganhtr.losses.contrastive import FrameLoss, LineLoss, formulation
from ganhtr.losses.contrastive.clip import clip
from ganhtr.losses.contrastive.dcl import dcl
from ganhtr.losses.contrastive.infonce import infonce
from ganhtr.losses.contrastive.siglip import siglip
from ganhtr.losses.contrastive.supcon import supcon
from ganhtr.losses.contrastive.symmetry import symmetric
from ganhtr.losses.contrastive.triplet import triplet

NAMES = [name for name in RULES["contrastive.formulation"].choices if name != "none"]
SCALE = torch.tensor(7.0, dtype=torch.float64)
BIAS = torch.tensor(-1.5, dtype=torch.float64)
TEXTS = {
    "distinct": ("abcde", ""),
    "duplicates": ("abacb", ""),
    "one text": ("aaaaa", ""),
    "pair": ("ab", ""),
    "further candidates": ("abc", "xaby"),
    "a queue of the own text": ("aa", "aa"),
}


def entry(name, **knobs):
    keys = {
        "contrastive.formulation": name,
        **{f"contrastive.{key}": value for key, value in knobs.items()},
    }
    return formulation(build_config("tiny", keys).contrastive)


LINE = {name: entry(name).loss for name in NAMES if isinstance(entry(name), LineLoss)}
LINE |= {
    f"{name} symmetric": entry(name, symmetric=True).loss
    for name in ("infonce", "dcl", "triplet", "supcon")
}
LINE |= {"triplet semi-hard": entry("triplet", mining="semi_hard", margin=0.4).loss}
SOFTMAX = [name for name in LINE if name.split()[0] in ("infonce", "clip")]


def same(texts):
    """The mask of equal texts: lines of `texts[0]`, candidates of `texts[0]` and `texts[1]`."""
    lines, further = texts
    return torch.tensor([[a == b for b in lines + further] for a in lines])


def cosines_of(texts, seed=0):
    lines, further = texts
    return (
        torch.rand(
            len(lines),
            len(lines + further),
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(seed),
        )
        * 2
        - 1
    )


def rivals_of(i, texts):
    lines, further = texts
    return [j for j, text in enumerate(lines + further) if text != lines[i]]


def naive_infonce(cosines, texts, scale, bias):
    """-log of the own text's share among the own text and all other texts, an image at a time."""
    return [
        -math.log(
            math.exp(scale * row[i])
            / sum(math.exp(scale * row[j]) for j in [i, *rivals_of(i, texts)])
        )
        for i, row in enumerate(cosines.tolist())
    ]


def naive_dcl(cosines, texts, scale, bias):
    return [
        -math.log(
            math.exp(scale * row[i]) / sum(math.exp(scale * row[j]) for j in rivals_of(i, texts))
        )
        if rivals_of(i, texts)
        else 0.0
        for i, row in enumerate(cosines.tolist())
    ]


def naive_siglip(cosines, texts, scale, bias):
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    return [
        -math.log(sigmoid(scale * row[i] + bias))
        - sum(math.log(sigmoid(-(scale * row[j] + bias))) for j in rivals_of(i, texts))
        for i, row in enumerate(cosines.tolist())
    ]


def naive_supcon(cosines, texts, scale, bias):
    losses = []
    for i, row in enumerate(cosines.tolist()):
        total = sum(math.exp(scale * c) for c in row)
        positives = [j for j in range(len(row)) if j not in rivals_of(i, texts)]
        losses.append(
            sum(-math.log(math.exp(scale * row[j]) / total) for j in positives) / len(positives)
        )
    return losses


def naive_triplet(cosines, texts, scale, bias, mining="hardest", margin=0.2):
    losses = []
    for i, row in enumerate(cosines.tolist()):
        rivals = [row[j] for j in rivals_of(i, texts)]
        semi = [c for c in rivals if row[i] - margin < c < row[i]] if mining == "semi_hard" else []
        losses.append(max(0.0, max(semi or rivals) - row[i] + margin) if rivals else 0.0)
    return losses


def naive_both(naive):
    def both(cosines, texts, scale, bias):
        lines = texts[0]
        forth = naive(cosines, texts, scale, bias)
        back = naive(cosines[:, : len(lines)].t(), (lines, ""), scale, bias)
        return [(a + b) / 2 for a, b in zip(forth, back, strict=True)]

    return both


NAIVE = {
    "infonce": naive_infonce,
    "clip": naive_both(naive_infonce),
    "dcl": naive_dcl,
    "siglip": naive_siglip,
    "supcon": naive_supcon,
    "triplet": naive_triplet,
    "triplet semi-hard": lambda c, t, s, b: naive_triplet(c, t, s, b, "semi_hard", 0.4),
    **{
        f"{name} symmetric": naive_both(naive)
        for name, naive in (
            ("infonce", naive_infonce),
            ("dcl", naive_dcl),
            ("triplet", naive_triplet),
            ("supcon", naive_supcon),
        )
    },
}


@pytest.fixture(params=LINE)
def loss(request):
    return LINE[request.param]


@pytest.fixture(params=TEXTS)
def texts(request):
    return TEXTS[request.param]


@pytest.mark.parametrize("scale", [0.1, 7.0, 100.0])
@pytest.mark.parametrize("name", LINE)
def test_the_loss_is_that_of_a_naive_loop(name, texts, scale):
    cosines = cosines_of(texts)
    got = LINE[name](cosines, same(texts), torch.tensor(scale, dtype=torch.float64), BIAS)
    assert got.tolist() == pytest.approx(
        NAIVE[name](cosines, texts, scale, BIAS.item()), rel=1e-9, abs=1e-9
    )


def test_the_table_has_every_formulation_in_its_family_and_the_readme_lists_it():
    readme = (Path(__file__).parents[2] / "ganhtr" / "losses" / "README.md").read_text()
    assert [*LINE_LOSSES, *FRAME_LOSSES] == NAMES
    for name in NAMES:
        assert isinstance(entry(name), LineLoss if name in LINE_LOSSES else FrameLoss)
        assert f"\n| `{name}` |" in readme


def test_which_losses_learn_temperature_and_bias():
    learns = {
        name: entry(name).learned_temperature for name in NAMES if isinstance(entry(name), LineLoss)
    }
    assert learns == {
        "infonce": False,
        "clip": True,
        "dcl": False,
        "siglip": True,
        "triplet": False,
        "supcon": False,
    }
    assert entry("infonce", learned_temperature=True).learned_temperature
    assert not entry("triplet", learned_temperature=True).learned_temperature
    assert [name for name in learns if entry(name).learned_bias] == ["siglip"]
    with pytest.raises(KeyError):
        entry("none")


@pytest.fixture
def vectors():
    generator = torch.Generator().manual_seed(3)
    images, texts = (
        torch.nn.functional.normalize(
            torch.randn(6, 5, dtype=torch.float64, generator=generator), dim=1
        )
        for _ in range(2)
    )
    return images, texts, torch.tensor([0, 1, 2, 0, 3, 1])


def test_supcon_is_that_of_the_library(vectors):
    images, texts, labels = vectors
    oracle = SupConLoss(temperature=1 / 7, distance=CosineSimilarity())
    expected = oracle(
        images, labels, ref_emb=texts, ref_labels=labels.clone()
    )  # the same object twice would drop the diagonal
    got = supcon(images @ texts.t(), labels[:, None] == labels[None], SCALE)
    assert got.mean().item() == pytest.approx(expected.item(), rel=1e-6)


def test_infonce_is_that_of_the_library(vectors):
    images, texts, _ = vectors
    labels = torch.arange(6)
    expected = NTXentLoss(temperature=1 / 7, distance=CosineSimilarity())(
        images, labels, ref_emb=texts, ref_labels=labels.clone()
    )
    assert infonce(
        images @ texts.t(), torch.eye(6, dtype=torch.bool), SCALE
    ).mean().item() == pytest.approx(expected.item(), rel=1e-6)


def test_triplet_is_that_of_the_library(vectors):
    images, texts, _ = vectors
    labels, cosines = torch.arange(6), images @ texts.t()
    hardest = cosines.masked_fill(torch.eye(6, dtype=torch.bool), -2).argmax(dim=1)
    oracle = TripletMarginLoss(margin=0.2, distance=CosineSimilarity(), reducer=None)
    triplets = (labels, labels, hardest)  # anchors, positives, negatives
    expected = oracle(
        images, labels, indices_tuple=triplets, ref_emb=texts, ref_labels=labels.clone()
    ).item()
    got = triplet(cosines, torch.eye(6, dtype=torch.bool), SCALE, 0.2, "hardest")
    assert got[got > 0].mean().item() == pytest.approx(
        expected, rel=1e-6
    )  # the library averages over those that are not 0


def test_semi_hard_mining_passes_over_what_is_nearer_and_falls_back():
    cosines = torch.tensor([[0.5, 0.9, 0.4], [0.9, 0.5, 0.1], [-1.0, -0.9, 0.8]])
    mask = torch.eye(3, dtype=torch.bool)
    got = triplet(cosines, mask, SCALE, 0.2, "semi_hard")
    # 0.4 is within the margin; no candidate is, so 0.9 counts; no candidate is, and -0.9 is far
    assert got.tolist() == pytest.approx([0.1, 0.6, 0.0])
    assert triplet(cosines, mask, SCALE, 0.2, "hardest").tolist() == pytest.approx([0.6, 0.6, 0.0])


@pytest.mark.parametrize("scale", [0.1, 14.0, 100.0])
def test_values_are_finite_one_a_line(loss, texts, scale):
    mask = same(texts)
    shape = mask.shape
    for cosines in (
        torch.ones(shape),
        -torch.ones(shape),
        cosines_of(texts).float(),
        2 * mask.float() - 1,
        1 - 2 * mask.float(),
    ):
        cosines.requires_grad_()
        inverse, bias = (
            torch.tensor(scale, requires_grad=True),
            torch.tensor(-1.0, requires_grad=True),
        )
        losses = loss(cosines, mask, inverse, bias)
        assert (
            losses.shape == (len(texts[0]),)
            and losses.dtype == torch.float32
            and losses.isfinite().all()
        )
        gradients = torch.autograd.grad(losses.sum(), [cosines, inverse, bias], allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in gradients) and gradients[0] is not None


def test_all_but_the_decoupled_loss_are_never_negative(loss, texts):
    losses = loss(cosines_of(texts), same(texts), SCALE, BIAS)
    assert (losses >= 0).all() or loss in (LINE["dcl"], LINE["dcl symmetric"])


def test_gradients_are_those_of_finite_differences(loss, texts):
    cosines, inverse, bias = (
        cosines_of(texts).requires_grad_(),
        SCALE.clone().requires_grad_(),
        BIAS.clone().requires_grad_(),
    )
    assert torch.autograd.gradcheck(
        lambda c, s, b: loss(c, same(texts), s, b) + 0 * (s + b), (cosines, inverse, bias)
    )


def test_the_arguments_are_left_alone(loss, texts):
    inputs = cosines_of(texts), same(texts), SCALE.clone(), BIAS.clone()
    before = [tensor.clone() for tensor in inputs]
    loss(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


def test_the_order_of_lines_is_of_no_matter(loss, texts):
    lines = len(texts[0])
    order = torch.randperm(lines, generator=torch.Generator().manual_seed(1))
    columns = torch.cat([order, torch.arange(lines, lines + len(texts[1])).flip(0)])
    cosines, mask = cosines_of(texts), same(texts)
    shuffled = loss(cosines[order][:, columns], mask[order][:, columns], SCALE, BIAS)
    assert torch.allclose(shuffled, loss(cosines, mask, SCALE, BIAS)[order], rtol=1e-12)


def test_the_right_pair_is_pulled_and_no_wrong_one_is(loss, texts):
    cosines, mask = (
        (0.1 * cosines_of(texts)).requires_grad_(),
        same(texts),
    )  # near enough for every margin
    (gradient,) = torch.autograd.grad(loss(cosines, mask, SCALE, BIAS).sum(), cosines)
    assert (gradient[~mask] >= 0).all()
    if (~mask).any():
        assert (gradient[~mask] > 0).any() and gradient[mask].sum() < 0


@pytest.mark.parametrize("name", [name for name in LINE if "supcon" not in name])
def test_lines_of_equal_text_are_not_negatives(name):
    texts = TEXTS["duplicates"]
    mask = same(texts)
    duplicates = mask & ~torch.eye(5, dtype=torch.bool)
    changed = cosines_of(texts).masked_fill(duplicates, 0.99).requires_grad_()
    losses = LINE[name](changed, mask, SCALE, BIAS)
    assert torch.equal(losses, LINE[name](cosines_of(texts), mask, SCALE, BIAS))
    (gradient,) = torch.autograd.grad(losses.sum(), changed)
    assert (gradient[duplicates] == 0).all() and duplicates.sum() == 4


@pytest.mark.parametrize("name", ["supcon", "supcon symmetric"])
def test_for_supcon_they_are_positives(name):
    texts = TEXTS["duplicates"]
    mask, cosines = same(texts), cosines_of(texts).requires_grad_()
    (gradient,) = torch.autograd.grad(
        LINE[name](cosines, mask, torch.tensor(0.1, dtype=torch.float64), BIAS).sum(), cosines
    )
    assert (gradient[mask] < 0).all()


@pytest.mark.parametrize(
    "name", [name for name in LINE if name.split()[0] in ("infonce", "clip", "dcl", "triplet")]
)
@pytest.mark.parametrize("n", [1, 4])
def test_a_batch_of_one_text_has_nothing_to_learn_from(name, n):
    texts = ("a" * n, "")
    cosines = cosines_of(texts).requires_grad_()
    losses = LINE[name](cosines, same(texts), SCALE, BIAS)
    assert losses.tolist() == [0] * n
    losses.sum().backward()
    assert not cosines.grad.any()


@pytest.mark.parametrize(
    ("texts", "candidates"),
    [
        (("abcd", ""), [4] * 4),
        (("abcdefgh", ""), [8] * 8),
        (("abacb", ""), [4, 4, 4, 5, 4]),
        (("abcd", "xyza"), [7, 8, 8, 8]),
    ],
)
def test_uninformative_cosines_give_the_logarithm_of_the_candidates(texts, candidates):
    losses = infonce(torch.full(same(texts).shape, 0.3, dtype=torch.float64), same(texts), SCALE)
    assert losses.tolist() == pytest.approx([math.log(n) for n in candidates])
    lowered = dcl(torch.full(same(texts).shape, 0.3, dtype=torch.float64), same(texts), SCALE)
    assert lowered.tolist() == pytest.approx([math.log(n - 1) for n in candidates])


def test_at_its_starting_bias_siglip_expects_one_in_the_candidates():
    n = 16
    bias = torch.tensor(-math.log(n - 1), dtype=torch.float64, requires_grad=True)
    texts = ("abcdefghijklmnop", "")
    loss = siglip(torch.zeros(n, n, dtype=torch.float64), same(texts), SCALE, bias).mean()
    (slope,) = torch.autograd.grad(loss, bias)
    assert slope.item() == pytest.approx(0, abs=1e-12)  # the bias is at its optimum


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize(("sign", "falling"), [(1, True), (-1, False)])
def test_a_lower_temperature_sharpens_right_and_wrong_alike(name, sign, falling):
    texts = ("abcd", "")
    cosines = sign * (0.5 * torch.eye(4, dtype=torch.float64) + 0.1 * cosines_of(texts))
    scales = torch.tensor([0.5, 2, 8, 32], dtype=torch.float64)
    losses = torch.stack([LINE[name](cosines, same(texts), scale, BIAS) for scale in scales])
    assert ((losses.diff(dim=0) < 0) == falling).all()


def test_images_look_for_texts_and_in_the_symmetric_forms_texts_for_images():
    texts = ("abcd", "")
    cosines, mask = cosines_of(texts), same(texts)
    raised = cosines.clone()
    raised[0, 2] = 1.0  # image 0 mistaken for text 2
    for one_way, two_ways in ((infonce, clip), (dcl, symmetric(dcl)), (supcon, symmetric(supcon))):
        rise = [
            (loss(raised, mask, SCALE) - loss(cosines, mask, SCALE) > 0).tolist()
            for loss in (one_way, two_ways)
        ]
        assert rise == [[True, False, False, False], [True, False, True, False]]
