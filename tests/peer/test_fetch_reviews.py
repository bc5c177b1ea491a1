"""scripts/fetch_reviews.py without the network: splits, rows, refusals, skipping of finished work."""
import json

import fetch_reviews
import pytest
from fetch_reviews import Sentence
from fetching import FetchError, Stamp, write_atomically

SENTENCES = [Sentence(f"film number {i}", i % 2 == 0) for i in range(100)]


def table(rows):
    return "\r\n".join(f"{i}\t{score}\t{text}" for i, (score, text) in enumerate(rows, 1))


@pytest.fixture
def counts(monkeypatch):
    def expect(sentences, rated):
        monkeypatch.setattr(fetch_reviews, "SENTENCES", sentences)
        monkeypatch.setattr(fetch_reviews, "RATED", rated)

    return expect


def test_every_sentence_is_in_exactly_one_split():
    parts = fetch_reviews.split(SENTENCES, {"test": 20, "valid": 10})
    assert {name: len(part) for name, part in parts.items()} == {"test": 20, "valid": 10, "train": 70}
    assert sorted(sum(parts.values(), [])) == sorted(SENTENCES)


def test_the_split_does_not_depend_on_the_order_of_the_source():
    sizes = {"test": 20, "valid": 10}
    assert fetch_reviews.split(SENTENCES[::-1], sizes) == fetch_reviews.split(SENTENCES, sizes)


def test_nearly_neutral_and_repeated_sentences_are_left_out(counts):
    counts(5, 3)
    rows = [(0.5, "good"), (-0.49, "so so"), (-2, "bad"), (0.3, "fine"), (1.5, "good")]
    assert fetch_reviews.parse_table(table(rows)) == [Sentence("good", True), Sentence("bad", False)]


def test_another_number_of_lines_is_refused(counts):
    counts(3, 2)
    with pytest.raises(FetchError, match="2 lines, expected 3"):
        fetch_reviews.parse_table(table([(1, "good"), (-1, "bad")]))


def test_contradicting_repetitions_are_refused(counts):
    counts(2, 2)
    with pytest.raises(FetchError, match="1 repeated sentences with another sentiment, expected 0"):
        fetch_reviews.parse_table(table([(1, "good"), (-1, "good")]))


def test_a_row_asks_for_one_of_two_words():
    assert json.loads(fetch_reviews.row(Sentence('A "gem" – really', True))) == {
        "prompt": 'Review: A "gem" – really\nSentiment:', "completion": " positive"}
    assert json.loads(fetch_reviews.row(Sentence("dull", False)))["completion"] == " negative"


def test_a_stamp_holds_until_input_or_output_changes(tmp_path):
    output = tmp_path / "made.txt"
    assert not Stamp(tmp_path / ".done", ["input"]).is_current()
    write_atomically(output, b"result")
    Stamp(tmp_path / ".done", ["input"]).mark([output])
    assert Stamp(tmp_path / ".done", ["input"]).is_current()
    assert not Stamp(tmp_path / ".done", ["other input"]).is_current()
    output.write_bytes(b"edited")
    assert not Stamp(tmp_path / ".done", ["input"]).is_current()
    output.unlink()
    assert not Stamp(tmp_path / ".done", ["input"]).is_current()


def test_a_failed_write_leaves_the_old_file_and_no_temporary(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text, not bytes")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
