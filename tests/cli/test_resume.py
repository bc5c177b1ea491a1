"""Stopping and going on: a training in parts is the training in one piece, byte for byte, on one thread."""
import json
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from run_folders import losses_of, trained_bytes

OPTIONS = ["--steps", 60, "--batch-size", 8, "--batch-tokens", 60, "--learning-rate", 3e-3, "--dropout", 0.1,
           "--threads", 1, "--eval-every", 15, "--seed", 7]
MOMENTS = int(os.environ.get("LORA_SIGNAL_MOMENTS", "12"))
METHODS = {"lora": [], "dora": ["--method", "dora"], "pissa": ["--init", "pissa"],
           "full": ["--method", "full", "--dropout", 0, "--learning-rate", 3e-4],
           "bottleneck": ["--method", "bottleneck"], "fp16": ["--precision", "fp16"],
           "upper layers": ["--layers", "last:1", "--dropout", 0]}


@pytest.fixture
def command(fixtures):
    """command(run folder, option, ...) -> words of a training of the tiny model."""
    binary = Path(os.environ.get("LORA_BIN", "build/release/bin")) / "lora-train"

    def words(out, *options):
        return [str(word) for word in (
            binary, "--model", fixtures / "tiny_llama.pt", "--data", fixtures / "train.jsonl", "--valid",
            fixtures / "valid.jsonl", "--out", out, *OPTIONS, *options)]

    return words


def call(words, code=0, **keywords):
    result = subprocess.run(words, capture_output=True, text=True, **keywords)
    assert code is None or result.returncode == code, result.stderr
    return result


def resume(run, *options):
    binary = Path(os.environ.get("LORA_BIN", "build/release/bin")) / "lora-train"
    return [str(word) for word in (binary, "--resume", run, *options)]


@pytest.mark.parametrize("method", METHODS)
def test_sixty_updates_equal_seven_and_thirteen_and_forty(command, tmp_path, method):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    call(command(whole, *METHODS[method]))
    # A budget of no minutes ends a run after its next update; checkpoints at 7 and 20 are what is gone on from.
    call(command(parts, *METHODS[method], "--save-every", 7, "--max-minutes", 1e-9), code=75)
    for step in (7, 20):
        run_until(resume(parts, "--max-minutes", 0, "--save-every", step), parts, step)
    call(resume(parts, "--max-minutes", 0))
    assert losses_of(parts) == losses_of(whole)
    if method != "full":
        assert trained_bytes(parts) == trained_bytes(whole)
    assert not (parts / "checkpoints").exists()


def run_until(words, run, step):
    """Runs until the checkpoint of `step` is there, then kills the process without warning."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.time() + 60
    while not (run / f"checkpoints/step-{step:06}/state.json").exists():
        assert time.time() < deadline and process.poll() is None, "the checkpoint did not come"
        time.sleep(0.002)
    process.kill()
    process.wait()


def test_signals_at_random_moments_lose_nothing(command, tmp_path, figure):
    whole = tmp_path / "whole"
    begin = time.time()
    call(command(whole))
    duration = time.time() - begin
    chance, runs, stops = random.Random(3), [tmp_path / "run"], 0
    for _ in range(MOMENTS):
        code, said = stop(command(runs[-1], "--resume", "auto"), chance, duration / 3)
        assert code in (0, 75), said
        stops += code == 75
        if code == 75:
            assert "stopped" in said
        if (runs[-1] / "report.json").exists():
            runs.append(tmp_path / f"run{len(runs)}")
    assert stops > 0
    call(command(runs[-1], "--resume", "auto"))
    for run in runs:
        assert losses_of(run) == losses_of(whole)
        assert trained_bytes(run) == trained_bytes(whole)
    figure("signals", sent=MOMENTS, stopped=stops, runs=len(runs))


def test_kills_at_random_moments_lose_nothing_that_was_saved(command, tmp_path, figure):
    """kill -9, with a checkpoint after every update, so that most kills meet a save."""
    whole = tmp_path / "whole"
    begin = time.time()
    call(command(whole, "--save-every", 1))
    duration = time.time() - begin
    chance, runs, kills, reached = random.Random(5), [tmp_path / "run"], 0, 0
    for _ in range(MOMENTS):
        process = subprocess.Popen(command(runs[-1], "--save-every", 1, "--resume", "auto"), stderr=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        await_handlers(process)
        time.sleep(chance.random() * duration / 2)
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        if (runs[-1] / "report.json").exists():
            runs.append(tmp_path / f"run{len(runs)}")
            reached = 0
        saved = max((int(path.name[5:]) for path in (runs[-1] / "checkpoints").glob("step-*")), default=0)
        assert saved >= reached, "a checkpoint was lost"
        reached = saved
    assert kills > 0
    call(command(runs[-1], "--save-every", 1, "--resume", "auto"))
    for run in runs:
        assert losses_of(run) == losses_of(whole)
        assert trained_bytes(run) == trained_bytes(whole)
    assert not [path for path in runs[-1].rglob("*") if path.name.endswith(".tmp")]
    figure("kills", sent=MOMENTS, killed=kills, runs=len(runs))


def stop(words, chance, seconds):
    """Sends a signal at a random moment within the seconds after the program can handle one: exit code and stderr."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
    await_handlers(process)
    time.sleep(chance.random() * seconds)
    process.send_signal(chance.choice([signal.SIGTERM, signal.SIGINT]))
    said = process.communicate()[1]
    return process.returncode, said


def await_handlers(process):
    """Until the program catches SIGTERM, or has ended."""
    deadline = time.time() + 60
    while process.poll() is None:
        assert time.time() < deadline
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)


def test_signals_from_the_first_moment_to_the_last_have_a_defined_result(command, tmp_path):
    run = tmp_path / "run"
    call(command(run))
    for which in (signal.SIGTERM, signal.SIGUSR1):
        process = subprocess.Popen(command(run, "--resume", "auto"), stderr=subprocess.PIPE, text=True)
        await_handlers(process)
        while process.poll() is None:
            process.send_signal(which)
            time.sleep(0.001)
        said = process.communicate()[1]
        assert process.returncode in ((0, 75) if which == signal.SIGTERM else (0,)), said
        assert losses_of(run)[-1][0] == 60


def test_a_second_signal_ends_at_once_and_the_run_goes_on(command, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    call(command(whole))
    call(command(run, "--max-minutes", 1e-9), code=75)
    process = subprocess.Popen(resume(run, "--max-minutes", 0), stderr=subprocess.PIPE, text=True)
    await_handlers(process)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.001)
    assert "stopped" in process.communicate()[1] and process.returncode == 75
    call(resume(run, "--max-minutes", 0))
    assert losses_of(run) == losses_of(whole)
    assert trained_bytes(run) == trained_bytes(whole)


def test_merging_stops_without_a_trace(command, fixtures, tmp_path):
    call(command(tmp_path / "run", "--steps", 6))
    out = tmp_path / "merged"
    bake = [str(word) for word in (
        Path(os.environ.get("LORA_BIN", "build/release/bin")) / "lora-merge", "bake", "--model",
        fixtures / "tiny_llama.pt", "--adapter", tmp_path / "run/adapter", "--out", out / "merged.pt", "--overwrite")]
    out.mkdir()
    begin = time.time()
    call(bake)
    duration, size = time.time() - begin, (out / "merged.pt").stat().st_size
    chance, codes = random.Random(4), []
    for _ in range(MOMENTS):
        code, said = stop(bake, chance, duration)
        codes.append(code)
        assert code == 0 or code == 75 and said.endswith("stopped by a signal\n"), said
        assert [path.name for path in out.iterdir()] == ["merged.pt"]
        assert (out / "merged.pt").stat().st_size == size and zipfile.ZipFile(out / "merged.pt").testzip() is None
    assert 75 in codes


def test_chatting_stops(fixtures):
    words = [Path(os.environ.get("LORA_BIN", "build/release/bin")) / "lora-eval", "chat", "--model",
             fixtures / "tiny_llama.pt"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    await_handlers(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 75


def test_the_message_says_how_to_go_on(command, tmp_path):
    result = call(command(tmp_path / "run", "--max-minutes", 1e-9), code=75)
    assert "stopped after update 1 of 60" in result.stderr
    assert f"go on with lora-train --resume {tmp_path / 'run'}" in result.stderr


def test_sigusr1_saves_and_goes_on(command, tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(command(run, "--save-every", 0), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    metrics = run / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") > 2):
        time.sleep(0.002)
    process.send_signal(signal.SIGUSR1)
    seen = False
    while process.poll() is None and not seen:
        seen = any((run / "checkpoints").glob("step-*/state.json"))
        time.sleep(0.002)
    assert process.wait() == 0 and seen


def test_auto_starts_goes_on_and_leaves_finished_runs_alone(command, tmp_path):
    run = tmp_path / "run"
    call(command(run, "--resume", "auto", "--max-minutes", 1e-9), code=75)
    assert "goes on after update 1 of 60" in call(command(run, "--resume", "auto")).stderr
    before = (run / "report.json").read_bytes()
    assert "finished run: nothing to do" in call(command(run, "--resume", "auto")).stderr
    assert (run / "report.json").read_bytes() == before
    assert "holds no checkpoint" in call(resume(run), code=2).stderr


def test_a_changed_run_is_refused_with_every_difference(command, fixtures, tmp_path):
    run = tmp_path / "run"
    call(command(run, "--max-minutes", 1e-9), code=75)
    other = tmp_path / "other.jsonl"
    other.write_text((fixtures / "train.jsonl").read_text().replace("a", "e", 1))
    result = call(resume(run, "--max-minutes", 0, "--rank", 4, "--data", other, "--log-every", 2), code=5)
    assert "rank: 16 -> 4" in result.stderr and "data: sha256" in result.stderr
    assert "log_every" not in result.stderr
    assert "--allow-change rank,data" in result.stderr
    result = call(resume(run, "--max-minutes", 0, "--learning-rate", 1e-3, "--allow-change", "learning_rate"))
    assert "resumed with a change: learning_rate: 0.003 -> 0.001" in result.stderr


def flip(file, place):
    data = bytearray(file.read_bytes())
    data[place] ^= 4
    file.write_bytes(data)


@pytest.mark.parametrize("member", ["training.safetensors", "adapter/adapter_model.safetensors", "state.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(command, tmp_path, member):
    run = tmp_path / "run"
    call(command(run, "--max-minutes", 1e-9), code=75)
    call(resume(run, "--max-minutes", 1e-9), code=75)
    names = sorted(folder.name for folder in (run / "checkpoints").iterdir())
    assert names == ["step-000001", "step-000002"]
    flip(run / "checkpoints/step-000002" / member, -5)
    result = call(resume(run, "--max-minutes", 0))
    assert "checkpoint step-000002 is not used" in result.stderr and "goes on after update 1" in result.stderr


def test_a_changed_record_of_the_only_checkpoint_ends_with_4(command, tmp_path):
    run = tmp_path / "run"
    call(command(run, "--max-minutes", 1e-9), code=75)
    state = run / "checkpoints/step-000001/state.json"
    whole = state.read_text()
    for old, new in ('"parts":1', '"parts":0'), ('"step":1', '"step":3'), ('"tokens"', '"tokans"'):
        assert old in whole
        state.write_text(whole.replace(old, new, 1))
        result = call(resume(run, "--max-minutes", 0), code=4)
        assert "no checkpoint is whole" in result.stderr and "checkpoint step-000001 is not used" in result.stderr
    state.write_text(whole)
    call(resume(run, "--max-minutes", 0))


def test_a_limit_shorter_than_the_start_still_goes_on(command, tmp_path):
    """Each process does the validation that the one before left, and an update."""
    run, stops = tmp_path / "run", []
    for _ in range(20):
        result = subprocess.run(command(run, "--steps", 4, "--eval-every", 2, "--resume", "auto", "--max-minutes", 1e-9),
                                capture_output=True, text=True)
        if result.returncode == 0:
            break
        assert result.returncode == 75, result.stderr
        stops.append(int(result.stderr.split("stopped after update ")[1].split()[0]))
    assert result.returncode == 0 and stops == [1, 2, 3, 4]
    call(command(tmp_path / "whole", "--steps", 4, "--eval-every", 2))
    assert losses_of(run) == losses_of(tmp_path / "whole")


def test_patience_is_kept_over_a_resume(command, tmp_path):
    """Each process is stopped after an update, so that no process alone sees the two worse validations."""
    options = ("--learning-rate", 1.0, "--schedule", "constant", "--eval-every", 1, "--patience", 2)
    call(command(tmp_path / "whole", *options))
    run, processes = tmp_path / "run", 0
    while not (run / "report.json").exists():
        call(command(run, *options, "--resume", "auto", "--max-minutes", 1e-9), code=None)
        processes += 1
        assert processes < 60
    assert processes > 2
    assert losses_of(run) == losses_of(tmp_path / "whole") and losses_of(run)[-1][0] < 60


def test_a_limit_ends_a_validation_too(command, fixtures, tmp_path):
    valid, run = tmp_path / "valid.jsonl", tmp_path / "run"
    valid.write_text((fixtures / "valid.jsonl").read_text() * 400)
    options = ("--valid", valid, "--steps", 2, "--eval-every", 1)
    begin = time.time()
    call(command(run, *options, "--max-minutes", 3 / 60), code=75)
    stopped = time.time() - begin
    assert not any("valid_loss" in line for line in (run / "metrics.jsonl").read_text().splitlines())
    begin = time.time()
    call(command(run, *options, "--resume", "auto", "--max-minutes", 1e-9), code=75)
    assert stopped < time.time() - begin, "the pending validation is as short as its beginning"
    assert "valid_loss" in (run / "metrics.jsonl").read_text()


def test_another_code_of_the_same_weights_is_refused(command, fixtures, tmp_path):
    run, other = tmp_path / "run", tmp_path / "other.pt"
    call(command(run, "--max-minutes", 1e-9), code=75)
    with zipfile.ZipFile(fixtures / "tiny_llama.pt") as old, zipfile.ZipFile(other, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            new.writestr(item.filename, content + b"\n" if item.filename.endswith(".py") else content)
    result = call(resume(run, "--max-minutes", 0, "--model", other), code=5)
    assert "changed: model: sha256" in result.stderr and "--allow-change model" in result.stderr
    call(resume(run, "--max-minutes", 0, "--model", other, "--allow-change", "model"))


def test_a_run_is_resumed_from_another_folder(command, fixtures, tmp_path):
    shutil.copy(fixtures / "train.jsonl", tmp_path)
    binary = Path(command("out")[0]).resolve()
    words = command("run", "--data", "train.jsonl", "--max-minutes", 1e-9)
    call([binary, *words[1:]], code=75, cwd=tmp_path)
    (tmp_path / "elsewhere").mkdir()
    call([binary, "--resume", "../run", "--max-minutes", "0"], cwd=tmp_path / "elsewhere")
    assert (tmp_path / "run/report.json").exists()


def test_a_damaged_config_of_a_run_ends_with_4(command, tmp_path):
    run = tmp_path / "run"
    call(command(run, "--max-minutes", 1e-9), code=75)
    config = run / "config.json"
    whole = config.read_text()
    for damaged in (whole[:len(whole) // 2], whole.replace('"rank"', '"rnak"', 1)):
        config.write_text(damaged)
        assert "config.json" in call(resume(run), code=4).stderr


def test_what_changes_the_last_digits_is_said(command, tmp_path):
    run = tmp_path / "run"
    call(command(run, "--max-minutes", 1e-9), code=75)
    said = call(resume(run, "--max-minutes", 1e-9, "--threads", 2), code=75).stderr
    assert "warning: threads: 1 -> 2: the last digits" in said
    assert "last digits" not in call(resume(run, "--max-minutes", 0), code=0).stderr


def test_an_unknown_change_is_refused(command, tmp_path):
    result = call(command(tmp_path / "run", "--allow-change", "dtaa,rank"), code=2)
    assert '"dtaa"; nearest: data' in result.stderr and '"rank"' not in result.stderr


def test_a_run_that_is_in_use_is_not_resumed(command, tmp_path):
    run = tmp_path / "run"
    call(command(run, "--max-minutes", 1e-9), code=75)
    first = subprocess.Popen(resume(run, "--max-minutes", 0), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    time.sleep(0.05)
    while first.poll() is None:
        second = subprocess.run(resume(run, "--max-minutes", 0), capture_output=True, text=True)
        if second.returncode == 10:
            break
    else:
        pytest.skip("the first run was too quick")
    assert str(first.pid) in second.stderr
    assert first.wait() == 0
