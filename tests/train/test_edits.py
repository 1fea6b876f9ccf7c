"""Transcriptions with small mistakes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ganhtr.data.batches import pad
from ganhtr.train.edits import CHARACTERS_PER_EDIT, edited

ROWS = st.integers(1, 12).flatmap(
    lambda characters: st.tuples(
        st.just(characters),
        st.lists(st.lists(st.integers(1, characters + 1), max_size=30), min_size=1, max_size=5),
    )
)


@given(ROWS, st.integers(0, 99))
def test_about_every_eighth_character_is_another_and_none_is_new_to_the_charset(case, seed):
    characters, rows = case
    text = pad([np.array(row, dtype=np.int64) for row in rows])
    before, lengths = text.copy(), np.array([len(row) for row in rows])
    changed = edited(text, lengths, characters, np.random.default_rng(seed))
    assert (text == before).all() and changed.shape == text.shape
    for row, old, length in zip(changed, text, lengths, strict=True):
        wrong = np.flatnonzero(row != old)
        assert len(wrong) == min(length, 1 + length // CHARACTERS_PER_EDIT)
        assert (wrong < length).all()
        assert ((row[wrong] >= 1) & (row[wrong] <= characters + (characters == 1))).all()


def test_mistakes_are_drawn_from_every_place_and_character():
    row = np.full((1, 10), 3)
    drawn = [edited(row, np.array([10]), 5, np.random.default_rng(seed))[0] for seed in range(200)]
    assert {int(place) for one in drawn for place in np.flatnonzero(one != 3)} == set(range(10))
    assert {int(c) for one in drawn for c in one[one != 3]} == {1, 2, 4, 5}
