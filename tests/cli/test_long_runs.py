"""Long trainings: memory stays flat, descriptors constant, and save cycles leave nothing behind. LORA_LONG=1 runs the
long form."""
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import pytest

LONG = os.environ.get("LORA_LONG") == "1"
UPDATES, SAVES = (2000, 1000) if LONG else (200, 100)
MOST_GROWTH = 0.02


class Watched:
    """Resident memory and open files of a program while it runs, by the update that it had logged."""

    def __init__(self, binary, words, run):
        self.samples = []   # (update, resident bytes, open files)
        process = subprocess.Popen([binary, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        metrics = run / "metrics.jsonl"
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
                files = len(os.listdir(f"/proc/{process.pid}/fd"))
                update = metrics.read_bytes().count(b"\n")
                self.samples.append((update, int(status.split("VmRSS:")[1].split()[0]) * 1024, files))
            except (OSError, IndexError):
                pass   # not begun, or just ended
            time.sleep(0.002)
        self.errors = process.stderr.read()
        assert process.returncode == 0, self.errors

    def between(self, first, last, which):
        return [sample[which] for sample in self.samples if first <= sample[0] < last]


def check(watched, updates, name, figure):
    """The last quarter against the second: the first is warm-up."""
    quarter = updates // 4
    early, late = (watched.between(begin, begin + quarter, 1) for begin in (quarter, 3 * quarter))
    assert len(early) > 3 and len(late) > 3, "too few samples"
    growth = statistics.median(late) / statistics.median(early) - 1
    files = [min(watched.between(begin, begin + quarter, 2)) for begin in (quarter, 3 * quarter)]   # more come and go
    assert growth < MOST_GROWTH, f"{growth:.1%} more memory"
    assert files[1] <= files[0], f"{files[1] - files[0]:g} more open files"
    figure(name, updates=updates, growth=growth, open_files=files[1])


@pytest.fixture
def binary(root):
    return Path(os.environ.get("LORA_BIN", root / "build/release/bin")) / "lora-train"


@pytest.fixture
def varied_rows(tmp_path):
    """Rows of 2 to 120 words, in no order."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": "the cat " * (1 + row * 37 % 30), "completion": " sat down" * (
        1 + row * 11 % 30)}) + "\n" for row in range(400)))
    return path


def test_memory_stays_flat_over_updates_of_varied_length(binary, train, varied_rows, tmp_path, figure):
    words = train("--steps", UPDATES, "--save-every", 0, data=varied_rows)[1:]
    check(Watched(binary, words, tmp_path / "run"), UPDATES, "updates of varied length", figure)


def test_save_cycles_leave_nothing_behind(binary, train, tmp_path, figure):
    words = train("--steps", SAVES + 1, "--save-every", 1)[1:]
    watched = Watched(binary, words, tmp_path / "run")
    check(watched, SAVES, "save cycles", figure)
    assert "no checkpoint of update" not in watched.errors
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock", "adapter", "config.json", "metrics.jsonl", "report.json"]
