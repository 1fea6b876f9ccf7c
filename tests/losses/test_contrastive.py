"""Contrastive losses against loops written from the papers, and one contract for every entry of the table."""

import math

import pytest
import torch

from ganhtr.config import RULES
from ganhtr.losses.contrastive import formulation
from ganhtr.losses.contrastive.clip import clip
from ganhtr.losses.contrastive.infonce import infonce, infonce_symmetric

NAMES = [name for name in RULES["contrastive.formulation"].choices if name != "none"]
TABLE = {f"{name}{' symmetric' * symmetric}": formulation(name, symmetric, False).loss
         for name in NAMES for symmetric in (False, True)}
TEXTS = {"distinct": "abcde", "duplicates": "abacb", "one text": "aaaaa", "pair": "ab"}
SCALE = torch.tensor(7.0, dtype=torch.float64)


def same(texts):
    return torch.tensor([[a == b for b in texts] for a in texts])


def cosines_of(n, seed=0):
    return torch.rand(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def naive_infonce(cosines, texts, scale):
    """-log of the own text's share among the own text and all other texts, an image at a time."""
    losses = []
    for i, row in enumerate(cosines.tolist()):
        rivals = [j for j in range(len(texts)) if texts[j] != texts[i]]
        losses.append(-math.log(math.exp(scale * row[i]) / sum(math.exp(scale * row[j]) for j in [i, *rivals])))
    return losses


def naive_symmetric(cosines, texts, scale):
    pairs = zip(naive_infonce(cosines, texts, scale), naive_infonce(cosines.t(), texts, scale), strict=True)
    return [(forth + back) / 2 for forth, back in pairs]


@pytest.fixture(params=TABLE)
def loss(request):
    return TABLE[request.param]


@pytest.fixture(params=TEXTS)
def texts(request):
    return TEXTS[request.param]


@pytest.mark.parametrize("scale", [0.1, 7.0, 100.0, 140.0])
@pytest.mark.parametrize(("fast", "naive"), [
    (infonce, naive_infonce), (infonce_symmetric, naive_symmetric), (clip, naive_symmetric)])
def test_the_loss_is_that_of_a_naive_loop(fast, naive, texts, scale):
    cosines = cosines_of(len(texts))
    got = fast(cosines, same(texts), torch.tensor(scale, dtype=torch.float64))
    assert got.tolist() == pytest.approx(naive(cosines, texts, scale), rel=1e-9, abs=1e-12)


def test_the_table_names_every_formulation():
    assert NAMES and TABLE["infonce"] is infonce and TABLE["infonce symmetric"] is infonce_symmetric
    assert TABLE["clip"] is TABLE["clip symmetric"] is clip
    assert [formulation("infonce", False, learned).learned_temperature for learned in (False, True)] == [False, True]
    assert all(formulation("clip", False, learned).learned_temperature for learned in (False, True))
    with pytest.raises(KeyError):
        formulation("none", False, False)


@pytest.mark.parametrize("scale", [0.1, 14.0, 100.0])
def test_values_are_finite_one_a_line_and_not_negative(loss, texts, scale):
    cosines = [sign * torch.ones(len(texts), len(texts)) for sign in (1, -1)] + [cosines_of(len(texts)).float()]
    cosines += [2 * torch.eye(len(texts)) - 1, 1 - 2 * torch.eye(len(texts))]
    for cosines_BB in cosines:
        cosines_BB.requires_grad_()
        inverse = torch.tensor(scale, requires_grad=True)
        losses = loss(cosines_BB, same(texts), inverse)
        assert losses.shape == (len(texts),) and losses.dtype == torch.float32
        assert losses.isfinite().all() and (losses >= 0).all()
        assert all(g.isfinite().all() for g in torch.autograd.grad(losses.sum(), [cosines_BB, inverse]))


def test_gradients_are_those_of_finite_differences(loss, texts):
    cosines = cosines_of(len(texts)).requires_grad_()
    inverse = SCALE.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda c, s: loss(c, same(texts), s), (cosines, inverse))


def test_the_arguments_are_left_alone(loss):
    given = cosines_of(5), same("abacb"), SCALE.clone()
    before = [tensor.clone() for tensor in given]
    loss(*given)
    assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


def test_the_order_of_lines_is_of_no_matter(loss, texts):
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(1))
    cosines, mask = cosines_of(len(texts)), same(texts)
    shuffled = loss(cosines[order][:, order], mask[order][:, order], SCALE)
    assert torch.allclose(shuffled, loss(cosines, mask, SCALE)[order], rtol=1e-12)


def test_the_right_pair_is_pulled_and_the_wrong_ones_are_pushed(loss, texts):
    cosines, mask = cosines_of(len(texts)).requires_grad_(), same(texts)
    (gradient,) = torch.autograd.grad(loss(cosines, mask, SCALE).sum(), cosines)
    own = torch.eye(len(texts), dtype=torch.bool)
    assert (gradient[~mask] > 0).all()
    assert (gradient[own] < 0).all() == (len(set(texts)) > 1)


def test_lines_of_equal_text_are_not_negatives(loss):
    mask = same("abacb")
    duplicates = mask & ~torch.eye(5, dtype=torch.bool)
    cosines = cosines_of(5)
    changed = cosines.masked_fill(duplicates, 0.99).requires_grad_()
    losses = loss(changed, mask, SCALE)
    assert torch.equal(losses, loss(cosines, mask, SCALE))
    (gradient,) = torch.autograd.grad(losses.sum(), changed)
    assert (gradient[duplicates] == 0).all() and duplicates.sum() == 4


@pytest.mark.parametrize("n", [1, 4])
def test_a_batch_of_one_text_has_nothing_to_learn_from(loss, n):
    cosines = cosines_of(n).requires_grad_()
    losses = loss(cosines, same("a" * n), SCALE)
    assert losses.tolist() == [0] * n
    losses.sum().backward()
    assert not cosines.grad.any()


@pytest.mark.parametrize(("texts", "candidates"), [
    ("abcd", [4] * 4), ("abcdefgh", [8] * 8), ("abacb", [4, 4, 4, 5, 4])])
def test_uninformative_cosines_give_the_logarithm_of_the_candidates(loss, texts, candidates):
    losses = loss(torch.full((len(texts), len(texts)), 0.3, dtype=torch.float64), same(texts), SCALE)
    assert losses.tolist() == pytest.approx([math.log(n) for n in candidates])


@pytest.mark.parametrize(("sign", "falling"), [(1, True), (-1, False)])
def test_a_lower_temperature_sharpens_right_and_wrong_alike(loss, sign, falling):
    cosines = sign * (0.5 * torch.eye(4, dtype=torch.float64) + 0.1 * cosines_of(4))
    scales = torch.tensor([0.5, 2, 8, 32], dtype=torch.float64)
    losses = torch.stack([loss(cosines, same("abcd"), scale) for scale in scales])
    assert ((losses.diff(dim=0) < 0) == falling).all()


def test_images_look_for_texts_and_in_the_symmetric_forms_texts_for_images():
    cosines, mask = cosines_of(4), same("abcd")
    raised = cosines.clone()
    raised[0, 2] = 1.0  # image 0 mistaken for text 2
    rise = {name: loss(raised, mask, SCALE) - loss(cosines, mask, SCALE) for name, loss in TABLE.items()}
    assert (rise["infonce"] > 0).tolist() == [True, False, False, False]
    assert (rise["infonce symmetric"] > 0).tolist() == [True, False, True, False] == (rise["clip"] > 0).tolist()
