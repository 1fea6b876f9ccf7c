"""Text encoders of matcher and discriminator: explicit lengths, no mask from zeros."""

import pytest
import torch
from torch import nn

from ganhtr.config_sections import DiscriminatorConfig, TextEncoderConfig
from ganhtr.models.discriminator import Discriminator
from ganhtr.models.pooling import window_means
from ganhtr.models.text_encoder import TextEncoder

TOKENS = 9
ROWS = [
    [3, 1, 2],
    [4],
    [],
    [5, 0, 0, 6],
    [8, 8],
]  # with an empty text, zeros inside a text, an unknown character


def mean_states(encoder, row):
    """The mean of all states, one line at a time and unpacked."""
    states, _ = encoder.recurrent(encoder.embedding(torch.tensor([row])))
    return states[0].mean(dim=0)


def final_state(discriminator, row):
    _, (hidden, _) = discriminator.text(discriminator.embedding(torch.tensor([row])))
    return hidden[-1, 0]


@pytest.fixture(params=["text encoder", "discriminator"])
def case(request):
    """(network, encode(text, lengths), reference(network, row)): two encoders with one contract."""
    torch.manual_seed(0)
    if request.param == "text encoder":
        network = TextEncoder(
            TextEncoderConfig(embedding=5, dropout=0.5), TOKENS, features=6
        ).eval()
        return (
            network,
            lambda text, lengths: window_means(network(text, lengths), lengths, 1)[:, 0],
            mean_states,
        )
    network = Discriminator(
        DiscriminatorConfig(base=1, hidden=4, embedding=5, text_hidden=6), 16, 32, TOKENS
    ).eval()
    nn.init.normal_(network.embedding.weight)
    return network, network.encode_text, final_state


def padded(rows, width, fill=0):
    text = torch.full((len(rows), width), fill)
    for i, row in enumerate(rows):
        text[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return text, torch.tensor([len(row) for row in rows])


def test_each_line_is_encoded_as_if_alone_and_unpadded(case):
    network, encode, reference = case
    vectors = encode(*padded(ROWS, 4))
    assert vectors.shape == (5, 6)
    for row, vector in zip(ROWS, vectors, strict=True):
        expected = reference(network, row) if row else torch.zeros(6)
        assert torch.allclose(vector, expected, atol=1e-6)


@pytest.mark.parametrize(("width", "fill"), [(4, 7), (9, 0), (30, 3)])
def test_padding_changes_nothing(case, width, fill):
    _, encode, _ = case
    assert torch.allclose(encode(*padded(ROWS, width, fill)), encode(*padded(ROWS, 4)), atol=1e-6)


def test_every_real_character_counts_and_none_beyond(case):
    network, encode, _ = case
    text, lengths = padded(ROWS, 6, fill=7)
    embedded = []
    network.embedding.register_forward_hook(
        lambda m, i, out: (out.retain_grad(), embedded.append(out))[0]
    )
    encode(text, lengths).square().sum().backward()
    touched = embedded[0].grad.abs().sum(dim=2) > 0
    assert touched.tolist() == [[i < len(row) for i in range(6)] for row in ROWS]
    learned = network.embedding.weight.grad.abs().sum(dim=1).nonzero().flatten().tolist()
    # 0 is a character as any other; 7 stands in the padding alone
    assert learned == sorted({index for row in ROWS for index in row})


@pytest.mark.parametrize("rows", [[[], []], [[]], [[], [1, 2]], [[1], [], [], [2]]])
def test_empty_texts_give_zeros_and_finite_gradients(case, rows):
    network, encode, _ = case
    vectors = encode(*padded(rows, 3))
    assert [bool(vector.any()) for vector in vectors] == [bool(row) for row in rows]
    vectors.square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients) == any(rows)


def test_order_of_lines_and_of_characters(case):
    _, encode, _ = case
    text, lengths = padded(ROWS, 4)
    order = torch.tensor([3, 0, 4, 2, 1])
    assert torch.allclose(
        encode(text[order], lengths[order]), encode(text, lengths)[order], atol=1e-6
    )
    forth, back = encode(*padded([[3, 1, 2], [2, 1, 3]], 3))
    assert not torch.allclose(forth, back, atol=1e-4)


def test_states_stand_for_the_characters_and_are_zero_behind_them():
    encoder = TextEncoder(TextEncoderConfig(embedding=5, dropout=0), TOKENS, features=6)
    states = encoder(*padded(ROWS, 5, fill=7))
    assert states.shape == (5, 5, 6)
    for row, line in zip(ROWS, states, strict=True):
        assert not line[len(row) :].any()
        if row:
            expected, _ = encoder.recurrent(encoder.embedding(torch.tensor([row])))
            assert torch.allclose(line[: len(row)], expected[0], atol=1e-6)


def test_dropout_is_drawn_in_training_only():
    encoder = TextEncoder(TextEncoderConfig(embedding=8, dropout=0.5), TOKENS, features=6)
    batch = padded(ROWS, 4)
    assert not torch.equal(encoder(*batch), encoder(*batch))
    encoder.eval()
    assert torch.equal(encoder(*batch), encoder(*batch))


@pytest.mark.parametrize("lines", [[[]], [[], [], []], [[2, 3], []]])
def test_the_discriminator_judges_empty_texts(lines):
    torch.manual_seed(0)
    discriminator = Discriminator(
        DiscriminatorConfig(base=2, hidden=4, embedding=3, text_hidden=3), 16, 32, TOKENS
    )
    image = torch.rand(len(lines), 1, 16, 32, requires_grad=True)
    logits = discriminator(image, *padded(lines, 2))
    logits.sum().backward()
    assert logits.isfinite().all() and image.grad.isfinite().all() and image.grad.any()
    assert all(p.grad.isfinite().all() for p in discriminator.trainable())


def test_the_discriminator_encodes_a_text_as_the_last_state_within_its_length():
    discriminator = Discriminator(
        DiscriminatorConfig(base=2, hidden=4, embedding=3, text_hidden=4), 16, 32, TOKENS
    )
    indices = torch.tensor([[1, 2, 3, 2, 1], [3, 1, 2, 2, 2]])
    vectors = discriminator.encode_text(indices, torch.tensor([5, 2]))
    for vector, line, length in zip(vectors, indices, (5, 2), strict=True):
        states, _ = discriminator.text(discriminator.embedding(line[None, :length]))
        assert torch.allclose(vector, states[0, -1], atol=1e-6)
