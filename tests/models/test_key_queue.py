"""The queue of keys."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from ganhtr.models.key_queue import KeyQueue


@given(st.integers(1, 9), st.lists(st.integers(1, 12), max_size=8))
def test_the_queue_holds_the_last_keys(size, batches):
    queue, pushed = KeyQueue(size, 2), []
    for n in batches:
        fresh = list(range(len(pushed), len(pushed) + n))
        pushed += fresh
        queue.push(torch.tensor([[k, -k] for k in fresh], dtype=torch.float32), torch.tensor(fresh))
    keys, labels = queue.contents()
    assert sorted(labels.tolist()) == pushed[-size:]
    assert keys.tolist() == [[k, -k] for k in labels.tolist()]


def test_a_push_does_not_change_keys_that_were_returned_before():
    queue = KeyQueue(2, 1)
    queue.push(torch.ones(2, 1), torch.tensor([1, 2]))
    keys, labels = queue.contents()
    queue.push(torch.zeros(2, 1), torch.tensor([3, 4]))
    assert keys.tolist() == [[1], [1]] and labels.tolist() == [1, 2]


def test_the_queue_is_part_of_a_checkpoint():
    queue, other = KeyQueue(3, 2), KeyQueue(3, 2)
    queue.push(torch.randn(4, 2), torch.tensor([5, 6, 7, 8]))
    other.load_state_dict(queue.state_dict())
    queue.push(torch.ones(1, 2), torch.tensor([9]))
    other.push(torch.ones(1, 2), torch.tensor([9]))
    assert all(torch.equal(a, b) for a, b in zip(queue.contents(), other.contents(), strict=True))
