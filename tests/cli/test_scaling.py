"""docs/scaling.md is what its script makes of its numbers, and the model of its sums."""
import subprocess
import sys

import pytest

import scaling


def test_the_document_is_made_of_the_numbers(root):
    result = subprocess.run([sys.executable, root / "scripts/scaling.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_line_is_found_through_points():
    start, slope = scaling.fit_line([(x, 3e-5 + 2e-9 * x) for x in (100, 10_000, 1_000_000)])
    assert start == pytest.approx(3e-5) and slope == pytest.approx(2e-9)


def test_a_sum_takes_twice_its_bytes_and_a_message_to_each_rank():
    assert scaling.sum_seconds(512, 1e9, 0, 1e9) == pytest.approx(2, rel=0.01)
    assert scaling.sum_seconds(9, 0, 1e-6, 1e9) == pytest.approx(2 * 8e-6 + 2 * 4e-6)
