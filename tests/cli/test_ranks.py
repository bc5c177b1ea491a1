"""Several processes train together: what they reach is what one process reaches, and none outlives another for long."""
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from run_folders import losses_of, trained_bytes
from scaling import launched

OPTIONS = ["--steps", 24, "--batch-size", 8, "--batch-tokens", 60, "--learning-rate", 1e-3, "--threads", 1,
           "--eval-every", 6, "--seed", 7, "--log-every", 1]
# An update of the tiny model takes milliseconds; this many are never finished within a test.
ENDLESS = ["--steps", 1000000, "--eval-every", 1000000, "--save-every", 5]
PATIENCE = 60


@pytest.fixture(scope="module")
def binary():
    """lora-train, if it was built with MPI and there is a launcher."""
    path = Path(os.environ.get("LORA_BIN", "build/release/bin")) / "lora-train"
    if not shutil.which("mpirun"):
        pytest.skip("no mpirun here (scripts/setup.sh --tests installs it)")
    if "libmpi" not in subprocess.run(["ldd", path], capture_output=True, text=True).stdout:
        pytest.skip("lora-train was built without MPI (LORA_WITH_MPI)")
    return path


@pytest.fixture
def together(binary, fixtures):
    """together(ranks, run folder, option, ...) -> words of a training of the tiny model; 0 ranks: without a launcher."""
    def words(ranks, out, *options, launcher=()):
        start = launched(ranks, *launcher) if ranks else []
        return [str(word) for word in (
            *start, binary, "--model", fixtures / "tiny_llama.pt", "--data",
            fixtures / "train.jsonl", "--valid", fixtures / "valid.jsonl", "--out", out, *OPTIONS, *options)]

    return words


def with_data(words, file):
    at = words.index("--data") + 1
    return [*words[:at], str(file), *words[at + 1:]]


def call(words, code=0):
    result = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == code, result.stderr
    return result


class Started:
    """A training of several ranks, once it has written what is looked for in its folder."""

    def __init__(self, words, run, sign="checkpoints/step-*/state.json"):
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self.run = run
        self.wait_for(sign)

    def wait_for(self, sign):
        deadline = time.time() + PATIENCE
        while not list(self.run.glob(sign)):
            assert time.time() < deadline and self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.01)

    def pid(self, rank):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and b"OMPI_COMM_WORLD_RANK=%d" % rank in variables:
                return int(folder.name)
        raise AssertionError(f"rank {rank} is not there")

    def end(self):
        """Exit code of the launcher, and what was said."""
        said = self.process.communicate(timeout=PATIENCE)[1]
        return self.process.returncode, said


def child_of(process):
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def newest_step(run):
    return max(int(path.parent.name[5:]) for path in run.glob("checkpoints/step-*/state.json"))


def goes_on(words, run):
    """The run can be resumed: it stops again after the next update."""
    before = newest_step(run)
    assert "stopped after update" in call([*words, "--resume", "auto", "--max-minutes", "1e-9"], 75).stderr
    assert newest_step(run) > before


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("options", [[], ["--method", "full", "--learning-rate", 1e-4]], ids=["lora", "full"])
def test_the_losses_are_those_of_one_process(together, tmp_path, ranks, options):
    alone, several = tmp_path / "alone", tmp_path / "several"
    call(together(0, alone, *options))
    call(together(ranks, several, *options))
    expected, found = losses_of(alone), losses_of(several)
    assert len(found) == len(expected) == 24 + 4
    # float32 sums in another order, and what 24 updates of Adam make of that.
    for one, other in zip(expected, found):
        assert one[0] == other[0]
        assert other[1:] == tuple(value and pytest.approx(value, rel=1e-5) for value in one[1:])
    assert found[0][1] == pytest.approx(expected[0][1], rel=1e-6)
    report = json.loads((several / "report.json").read_text())
    assert report["tokens"] == json.loads((alone / "report.json").read_text())["tokens"]
    assert json.loads((several / "config.json").read_text())["ranks"] == ranks


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_repetition_is_the_same_bit_by_bit(together, tmp_path, ranks):
    first, second = tmp_path / "first", tmp_path / "second"
    for run in (first, second):
        call(together(ranks, run, "--dropout", 0.1))
    assert losses_of(first) == losses_of(second)
    assert trained_bytes(first) == trained_bytes(second)


def test_a_validation_is_that_of_one_process_bit_by_bit(together, tmp_path):
    """The adapter changes nothing at the start, so that all validate the same model."""
    runs = [tmp_path / str(ranks) for ranks in (0, 3)]
    for ranks, run in zip((0, 3), runs):
        call(together(ranks, run, "--steps", 1, "--learning-rate", 1e-30))
    assert losses_of(runs[0])[-1][2] == losses_of(runs[1])[-1][2]


def test_a_run_in_parts_is_the_run_in_one_piece(together, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    call(together(2, whole, "--dropout", 0.1))
    for _ in range(3):
        call(together(2, parts, "--dropout", 0.1, "--resume", "auto", "--max-minutes", 1e-9), 75)
    call(together(2, parts, "--dropout", 0.1, "--resume", "auto"))
    assert losses_of(parts) == losses_of(whole)
    assert trained_bytes(parts) == trained_bytes(whole)


def test_another_number_of_ranks_is_refused_on_resume(together, tmp_path):
    run = tmp_path / "run"
    call(together(2, run, "--max-minutes", 1e-9), 75)
    said = call(together(4, run, "--resume", "auto"), 5).stderr
    assert "changed: ranks: 2 -> 4" in said and said.count("error: ") == 1
    assert "ranks: 2 -> 1" in call(together(0, run, "--resume", "auto"), 5).stderr
    call(together(4, run, "--resume", "auto", "--allow-change", "ranks"))
    assert losses_of(run)[-1][0] == 24


@pytest.mark.parametrize("which", [0, 1])
def test_a_signal_to_one_rank_ends_all_with_a_checkpoint(together, tmp_path, which):
    run = tmp_path / "run"
    words = together(2, run, *ENDLESS)
    started = Started(words, run)
    os.kill(started.pid(which), signal.SIGTERM)
    code, said = started.end()
    assert code == 75 and said.count("stopped after update") == 1, said
    reached = int(said.split("stopped after update ")[1].split(" ")[0])
    assert newest_step(run) == reached
    goes_on(words, run)


def test_sigusr1_to_any_rank_saves_and_goes_on(together, tmp_path):
    run = tmp_path / "run"
    started = Started(together(2, run, *ENDLESS, "--save-every", 0, "--eval-every", 5), run, "adapter")
    os.kill(started.pid(1), signal.SIGUSR1)
    started.wait_for("checkpoints/step-*/state.json")
    os.kill(started.pid(0), signal.SIGTERM)
    assert started.end()[0] == 75


@pytest.mark.parametrize("which", [0, 1])
def test_a_killed_rank_ends_all_and_the_run_goes_on(together, tmp_path, which):
    """The launcher itself ends the others."""
    run = tmp_path / "run"
    words = together(2, run, *ENDLESS)
    started = Started(words, run)
    os.kill(started.pid(which), signal.SIGKILL)
    code, said = started.end()
    assert code == 128 + signal.SIGKILL and "signal 9" in said, said  # the launcher's own, of the rank that died
    goes_on(words, run)


def test_ranks_that_a_dead_one_leaves_alone_save_and_stop(together, tmp_path):
    """With a launcher that does not end them."""
    run = tmp_path / "run"
    words = together(3, run, *ENDLESS, "--rank-timeout", 2, launcher=["--enable-recovery"])
    # This launcher does not say how its processes ended.
    telling = ["sh", "-c", 'trap "" TERM; "$@"; echo "ended with $?" >&2', "sh"]
    at = words.index(next(word for word in words if word.endswith("lora-train")))
    started = Started([*words[:at], *telling, *words[at:]], run)
    os.kill(child_of(started.pid(2)), signal.SIGKILL)
    said = started.end()[1]
    assert "another rank has not answered" in said and "everything is saved" in said, said
    assert said.count("ended with 75\n") == 2 and said.count("ended with 137\n") == 1, said
    goes_on(together(3, run, *ENDLESS), run)


def test_a_stuck_rank_ends_all_with_75_within_the_time_out(together, tmp_path):
    run = tmp_path / "run"
    words = together(2, run, *ENDLESS, "--rank-timeout", 2)
    started = Started(words, run)
    stuck = started.pid(1)
    os.kill(stuck, signal.SIGSTOP)
    begin = time.time()
    code, said = started.end()
    assert code == 75 and time.time() - begin < 20, said
    assert "another rank has not answered for 2" in said and "everything is saved" in said
    goes_on(words, run)


def test_what_is_wrong_is_said_once(together, tmp_path):
    words = together(3, tmp_path / "run")
    for code, wrong in ((2, [*words, "--targets", "nothing"]), (6, with_data(words, tmp_path / "none.jsonl"))):
        assert call(wrong, code).stderr.count("error: ") == 1


def test_memory_that_one_rank_lacks_ends_all_with_7(together, tmp_path):
    """Of an update's three rows rank 0 has the longest, and rank 1 only the address space for the shortest."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": "The dog waits. " * count}) + "\n" for count in (10, 3000, 3001)))
    words = with_data(together(0, tmp_path / "run", "--max-length", 12100, "--batch-size", 3, "--batch-tokens", 12100), rows)
    limited = ["sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh", *words]
    said = call([*launched(1), *words, ":", "-n", "1", *limited], 7).stderr
    assert "rank 1 has failed with exit code 7" in said and "[rank 1] error: not enough memory" in said


def test_ranks_with_other_files_are_refused(together, fixtures, tmp_path):
    words = together(0, tmp_path / "run")
    other = with_data(words, fixtures / "valid.jsonl")
    said = call([*launched(1), *words, ":", "-n", "1", *other], 5).stderr
    assert "ranks differ from rank 0: rank 1: data" in said and said.count("error: ") == 1


def test_more_ranks_than_rows_of_an_update(together, tmp_path):
    said = call(together(4, tmp_path / "run", "--batch-size", 2), 2).stderr
    assert "4 ranks share each update, and it has 2 rows" in said


def test_processes_that_nothing_connects(together, tmp_path):
    words = together(0, tmp_path / "run")
    result = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PMI_SIZE": "2"})
    assert result.returncode == 2, result.stderr
    assert "mpirun started 2 processes, and MPI connects 1 of them" in result.stderr


def test_cores_are_divided(binary, together, tmp_path):
    words = together(2, tmp_path / "run", "--steps", 1)
    at = words.index("--threads")
    call(words[:at] + words[at + 2:])
    threads = json.loads((tmp_path / "run/config.json").read_text())["threads"]
    assert threads == max(1, len(os.sched_getaffinity(0)) // 2)
