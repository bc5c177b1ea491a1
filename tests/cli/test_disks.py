"""Real disks that are full, read-only or missing: exit code 6 with a reason, never a signal, and nothing lost."""
import json
import os
import resource
import subprocess
from pathlib import Path

import pytest

IO = 6
# Of the tiny model: config.json has 3 KB, an adapter 150 KB, the tensors of a checkpoint 450 KB.
BELOW_ADAPTER, BELOW_CHECKPOINT = 20_000, 300_000


def limited(size):
    """No file of the program may grow beyond that, as on a full disk; write() then fails with EFBIG."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def temporaries(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def steps_logged(run):
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(size, option, ...): a mounted file system of its own."""
    mounted = []

    def mount(size, *options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        result = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "tmpfs", folder],
                                capture_output=True, text=True)
        if result.returncode:
            pytest.skip(f"no file system can be mounted here: {result.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def test_a_failing_periodic_save_keeps_training_and_warns(run, train, tmp_path):
    result = run(*train("--steps", 6, "--save-every", 2), preexec_fn=limited(BELOW_CHECKPOINT))
    folder = tmp_path / "run"
    assert result.stderr.count("no checkpoint of update") == 2   # the end needs none
    assert "training goes on: cannot write" in result.stderr and "File too large" in result.stderr
    assert json.loads((folder / "report.json").read_text())["updates"] == 6
    assert steps_logged(folder) == [1, 2, 3, 4, 5, 6] and not temporaries(folder)


def test_a_last_save_that_fails_ends_with_6_after_all_updates(refuses, train, tmp_path):
    said = refuses(IO, ["adapter_model.safetensors", "File too large", "hint: free space there"],
                   *train("--steps", 6), preexec_fn=limited(BELOW_ADAPTER))
    assert "step 6/6" in said
    assert not (tmp_path / "run/report.json").exists() and not temporaries(tmp_path)


def test_metrics_that_do_not_fit_are_lost_by_whole_lines(refuses, train, tmp_path):
    said = refuses(IO, [], *train("--steps", 90, "--log-every", 1), preexec_fn=limited(BELOW_ADAPTER))
    assert "metrics.jsonl lacks a line, training goes on" in said and "step 90/90" in said
    logged = steps_logged(tmp_path / "run")
    assert 50 < len(logged) < 90 and logged == list(range(1, len(logged) + 1))


def test_a_stop_that_cannot_be_saved_ends_with_6_and_keeps_the_older_checkpoint(run, refuses, train, tmp_path):
    command = train("--steps", 40, "--save-every", 0)
    run(*command, "--max-minutes", 1e-9, code=75)
    refuses(IO, ["training.safetensors"], "lora-train", "--resume", tmp_path / "run",
            preexec_fn=limited(BELOW_CHECKPOINT))
    assert "goes on after update 1 of 40" in run("lora-train", "--resume", tmp_path / "run", "--max-minutes", 0).stderr


@pytest.mark.parametrize("command", ["combine", "resize"])
def test_an_adapter_on_a_full_disk_leaves_the_older_one(run, refuses, trained, tmp_path, command):
    words = ["lora-merge", command, trained.adapter, "--rank", 8, "--out", tmp_path / "out"]
    if command == "combine":
        words = ["lora-merge", command, trained.adapter, f"{trained.adapter}:0.5", "--out", tmp_path / "out"]
    run(*words)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    refuses(IO, ["adapter_model.safetensors"], *words, "--overwrite", preexec_fn=limited(BELOW_ADAPTER))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_small_disk_is_found_before_anything_is_merged(refuses, baking, trained, small_disk):
    disk = small_disk("100k")
    refuses(IO, ["no room for", "out.pt", "100.0 KiB are free"], *baking(trained.adapter, disk / "out.pt"))
    assert list(disk.iterdir()) == []


def test_a_run_on_a_disk_too_small_for_checkpoints_is_finished(run, train, small_disk):
    disk = small_disk("500k")
    result = run(*train("--steps", 4, "--save-every", 1, out=disk / "run"))
    assert "no checkpoint of update 1, training goes on: " in result.stderr
    assert (disk / "run/report.json").exists() and not temporaries(disk)


def test_a_full_disk_is_found_at_the_start(refuses, train, small_disk):
    disk = small_disk("8k")
    with open(disk / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(b"x" * 4096)
    refuses(IO, [str(disk / "run"), "No space left on device"], *train(out=disk / "run", model="/none.pt"))


def test_a_read_only_disk_is_found_at_the_start(refuses, train, baking, trained, small_disk):
    disk = small_disk("1m", "ro")
    refuses(IO, [str(disk / "run"), "Read-only file system"], *train(out=disk / "run", model="/none.pt"))
    refuses(IO, [str(disk), "Read-only file system"], *baking(trained.adapter, disk / "out.pt", model="/none.pt"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_streams_do_not_harm_a_run(root, train, tmp_path):
    binary = Path(os.environ.get("LORA_BIN", root / "build/release/bin")) / "lora-train"
    words = [str(word) for word in train("--json")[1:]]
    with open("/dev/full", "w") as full:
        lost_log = subprocess.run([binary, *words], stdout=subprocess.PIPE, stderr=full, text=True)
        lost_results = subprocess.run([binary, *words, "--overwrite"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert lost_log.returncode == 0 and json.loads(lost_log.stdout)["updates"] == 2
    assert lost_results.returncode == IO and "could not be written to stdout" in lost_results.stderr
    assert (tmp_path / "run/report.json").exists()
