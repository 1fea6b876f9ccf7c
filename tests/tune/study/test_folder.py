"""A study's folder."""

from tune.study.folder import StudyFolder


def test_a_verdict_that_no_longer_stands_is_emptied_where_there_is_one(tmp_path):
    folder = StudyFolder(tmp_path)
    folder.withdraw_verdict()
    path = folder.path / "confirm" / "verdict.json"
    assert not path.exists()
    path.parent.mkdir()
    path.write_text('{"a": 1}')
    folder.withdraw_verdict()
    assert folder.read_json("confirm/verdict.json") == {} and path.exists()
