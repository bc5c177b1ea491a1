"""What can go wrong with files, disks and numbers: exit codes and messages, and that nothing is lost."""
import fcntl
import json
import os
import resource
import shutil
import zipfile

import pytest

USAGE, DATA, FILE, MISMATCH, IO, MEMORY, DIVERGED, LOCKED = 2, 3, 4, 5, 6, 7, 8, 10
ROW = '{"prompt": "the cat", "completion": " sat"}\n'


@pytest.fixture
def rows(tmp_path):
    """rows(text or bytes): a data file that holds it."""
    def write(content):
        path = tmp_path / "rows.jsonl"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def limit_file_size(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


# --- data ---

@pytest.mark.parametrize("content, parts", [
    (ROW + '{"prompt": "a" "completion": "b"}\n', ["rows.jsonl", "line 2", "column 27"]),
    (ROW + '{"prompt": "a", "prompt": "b"}\n', ["line 2", "occurs twice"]),
    (ROW + '{"prompt": "\\ud800", "completion": "b"}\n', ["line 2"]),
    (ROW.encode() + b'{"prompt": "\xff", "completion": "b"}\n', ["line 2"]),
    (ROW + "[" * 100000 + "\n", ["line 2", "64 levels"]),
    (ROW + '{"question": "a"}\n', ["line 2"]),
    (ROW + '{"prompt": 3, "completion": "b"}\n', ["line 2", "prompt"]),
    ("", ["rows.jsonl", "no rows"]),
    ("\n\n", ["rows.jsonl", "no rows"])])
def test_bad_rows_are_found_before_the_model_is_loaded(refuses, train, rows, content, parts):
    refuses(DATA, parts, *train(data=rows(content), model="/none.pt"))


def test_bad_rows_may_be_skipped_by_choice_and_are_counted(run, refuses, train, rows):
    data = rows(ROW * 6 + "nonsense\n")
    assert "1 malformed" in run(*train("--skip-bad", 1, data=data)).stderr
    data = rows(ROW * 6 + "nonsense\n" * 2)
    refuses(DATA, ["line 8"], *train("--skip-bad", 1, "--overwrite", data=data))


def test_an_empty_split_is_found_before_the_model_is_loaded(refuses, train, rows):
    refuses(DATA, ["rows.jsonl"], *train("--valid", rows(""), model="/none.pt"))


def test_rows_that_are_in_both_splits_are_counted(run, train, fixtures):
    said = run(*train("--valid", fixtures / "train.jsonl", "--dry-run"))
    total = len((fixtures / "train.jsonl").read_text().splitlines())
    assert f"overlap   {total} validation rows also occur in training" in said.stdout + said.stderr


def test_a_prompt_too_long_is_cut_and_its_answer_kept(run, refuses, train, rows):
    long_prompt = rows(json.dumps({"prompt": "the cat " * 60, "completion": " sat"}) + "\n")
    assert "1 cut" in run(*train("--max-length", 20, data=long_prompt)).stderr
    long_answer = rows(json.dumps({"prompt": "the cat", "completion": " sat" * 60}) + "\n")
    refuses(DATA, [str(long_answer), "1 are too long", "--max-length"],
            *train("--max-length", 20, "--overwrite", data=long_answer))


def test_a_single_update_trains_something(run, train, base, tmp_path):
    """A warm-up would give it a rate of zero."""
    run(*train("--steps", 1, "--learning-rate", 1e-2))
    said = run("lora-merge", "verify", "--model", base, "--adapter", tmp_path / "run/adapter").stdout
    assert "trained" in said and "FAILED" not in said


def test_a_byte_order_mark_is_accepted(run, train, rows):
    run(*train(data=rows(b"\xef\xbb\xbf" + (ROW * 6).encode())))


def test_a_row_too_long_is_an_error_by_choice(refuses, run, train, rows):
    data = rows(ROW * 4 + ROW.replace("cat", "cat " * 40))
    refuses(DATA, ["line 5"], *train("--max-length", 20, "--on-overlong", "error", data=data))
    run(*train("--max-length", 20, data=data))


def test_token_ids_beyond_the_vocabulary(refuses, train, rows):
    data = rows('{"input_ids": [1, 1000000], "labels": [1, 1000000]}\n')
    refuses(MISMATCH, ["1000000"], *train(data=data))


# --- model files ---

def test_a_missing_model_says_how_to_make_one(refuses, train):
    refuses(IO, ['model file "/none.pt" does not exist', "export_model.py"], *train(model="/none.pt"))


def test_every_input_that_is_not_there_ends_with_6(refuses, train, baking, base, fixtures, tmp_path):
    none, data = tmp_path / "none", fixtures / "valid.jsonl"
    missing = [f'"{none}"']
    compare, generate = (["lora-eval", name, "--model", base, "--data", data] for name in ("compare", "generate"))
    for command in (train("--tokenizer", none), train(data=none), train("--init-adapter", none), baking(none, tmp_path / "out.pt"),
                    baking(none, tmp_path / "out.pt", model=none), [*compare, "--variant", "base", "--general", none],
                    [*generate, "--adapter", f"a={none}"], [*generate[:4], "--data", none],
                    ["lora-eval", "score", "--predictions", none], ["lora-merge", "convert", none, "--to", "gguf", "--out", tmp_path / "x"],
                    *([*compare, "--variant", "base", f"a={kind}:{none}"] for kind in ("adapter", "model", "run"))):
        refuses(IO, missing, *command)


def test_results_that_cannot_be_written_are_found_before_the_work(refuses, base, fixtures, tmp_path):
    generate = ["lora-eval", "generate", "--model", "/none.pt", "--prompt", "a"]
    compare = ["lora-eval", "compare", "--model", "/none.pt", "--data", fixtures / "valid.jsonl", "--variant", "base"]
    none = tmp_path / "none"
    for command in ([*generate, "--out"], [*compare, "--json"], [*compare, "--report"]):
        refuses(IO, [f'folder "{none}" does not exist', "hint: make it"], *command, none / "file")
        refuses(IO, [f'"{tmp_path}" is a folder'], *command, tmp_path)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_truncated_model(refuses, train, base, tmp_path, share):
    content, path = base.read_bytes(), tmp_path / "cut.pt"
    path.write_bytes(content[:int(len(content) * share)])
    refuses(FILE, [str(path)], *train(model=path))


def test_a_flipped_bit_in_a_model(refuses, train, base, tmp_path):
    content, path = bytearray(base.read_bytes()), tmp_path / "flipped.pt"
    with zipfile.ZipFile(base) as archive:
        entry = next(entry for entry in archive.infolist() if "/data/" in entry.filename)
    content[entry.header_offset + 64 + entry.file_size // 2] ^= 1
    path.write_bytes(content)
    refuses(FILE, [str(path), "is damaged", entry.filename], *train(model=path))


def test_files_that_are_no_models(refuses, train, fixtures, tmp_path):
    text, archive = tmp_path / "text.pt", tmp_path / "zip.pt"
    text.write_text("no model")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("anything", "here")
    for path in (text, archive, tmp_path, fixtures / "hf/tiny_plain.pth"):
        refuses(FILE, [str(path), "export_model.py"], *train(model=path))


def test_a_frozen_model_is_refused_with_the_way_out(refuses, train, fixtures):
    refuses(FILE, ["constants", "hint: ", "export_model.py"],
            *train(model=fixtures / "tiny_frozen.pt", data=fixtures / "ids.jsonl"))


def test_text_needs_a_tokenizer(refuses, train, fixtures):
    refuses(FILE, ["holds no tokenizer", "--tokenizer"], *train(model=fixtures / "tiny_plain.pt"))
    refuses(FILE, ["train.jsonl"], *train("--tokenizer", fixtures / "train.jsonl"))


def test_rows_beyond_what_the_model_can_hold(refuses, train, fixtures, rows):
    data = rows('{"text": "' + "The dog waits. " * 400 + '"}\n')
    refuses(MISMATCH, ["the model refused its inputs", "context length"],
            *train("--max-length", 1000, model=fixtures / "tiny_gpt2.pt", data=data))


def text_row(sentences):
    return json.dumps({"text": "The dog waits. " * sentences}) + "\n"


def test_where_memory_runs_out_micro_batches_are_halved_and_losses_are_the_same(run, train, rows, tmp_path,
                                                                                little_memory):
    command = train("--max-length", 3000, "--batch-size", 8, data=rows(text_row(6000)))
    result = run(*command, "--batch-tokens", 24000, preexec_fn=little_memory)
    assert "not enough memory for a micro-batch" in result.stderr and "micro-batches are halved" in result.stderr
    run(*command, "--batch-tokens", 3000, "--out", tmp_path / "small")
    losses = [[json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
               if "valid" not in line] for name in ("run", "small")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)   # sums in another order


def test_a_row_too_large_for_memory_ends_with_7_and_keeps_what_was_trained(run, refuses, train, rows, tmp_path,
                                                                           little_memory):
    data = rows(text_row(10) + text_row(6000))
    command = train("--max-length", 24000, "--batch-size", 1, "--batch-tokens", 24000, "--no-shuffle", data=data)
    refuses(MEMORY, ["not enough memory for a micro-batch", "the 1 updates so far are kept", "lower --max-length",
                     f"--resume {tmp_path / 'run'}"], *command, preexec_fn=little_memory)
    assert "goes on after update 1 of 2" in run("lora-train", "--resume", tmp_path / "run").stderr


# --- adapters ---

def test_an_adapter_of_another_model(refuses, baking, comparison, trained, fixtures, tmp_path):
    other = fixtures / "tiny_gpt2.pt"
    refuses(MISMATCH, ["does not fit base", "q_proj", "hint: trained on base"],
            *baking(trained.adapter, tmp_path / "out.pt", model=other))
    refuses(MISMATCH, ["another tokenizer"], *comparison(f"a=adapter:{trained.adapter}", model=other))
    assert not (tmp_path / "out.pt").exists()


def test_a_training_from_an_adapter_of_another_tokenizer(refuses, train, trained, fixtures):
    refuses(MISMATCH, ["adapter ", "another tokenizer", "hint: "],
            *train("--init-adapter", trained.adapter, "--tokenizer", fixtures / "hf/tiny_gpt2"))


def test_an_adapter_of_a_base_of_the_same_shapes(run, refuses, train, baking, comparison, trained, tmp_path):
    run(*train("--seed", 7))
    adapter, parts = tmp_path / "run/adapter", ["the same names and shapes", "hint: trained on base"]
    refuses(MISMATCH, parts, *baking(adapter, tmp_path / "out.pt", model=trained.merged))
    refuses(MISMATCH, parts, *comparison(f"a=adapter:{adapter}", model=trained.merged))


def test_an_adapter_is_merged_once(refuses, baking, trained, tmp_path):
    refuses(MISMATCH, ["already"], *baking(trained.adapter, tmp_path / "twice.pt", model=trained.merged))


def test_a_damaged_adapter(refuses, baking, trained, tmp_path):
    folder = tmp_path / "adapter"
    shutil.copytree(trained.adapter, folder)
    tensors = folder / "adapter_model.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1])
    refuses(FILE, [tensors.name], "lora-merge", "inspect", folder)
    refuses(FILE, [tensors.name], *baking(folder, tmp_path / "out.pt"))


# --- disks: also test_disks.py ---

def test_folders_that_cannot_be_written_are_found_at_the_start(refuses, train, baking, trained, rows):
    below_a_file = rows(ROW) / "run"
    refuses(IO, [str(below_a_file)], *train(out=below_a_file, model="/none.pt"))
    refuses(IO, ["rows.jsonl"], *baking(trained.adapter, below_a_file / "out.pt"))


def test_a_full_disk_is_an_error_and_loses_nothing(run, refuses, train, tmp_path):
    run(*train())
    adapter = tmp_path / "run/adapter/adapter_model.safetensors"
    before = adapter.read_bytes()
    assert len(before) > 8192
    refuses(IO, ["adapter_model.safetensors", "hint: "], *train("--overwrite", "--seed", 1),
            preexec_fn=limit_file_size(8192))
    assert adapter.read_bytes() == before
    assert not [path for path in adapter.parent.iterdir() if "tmp" in path.name or path.name.startswith(".")]


def test_a_full_disk_leaves_no_part_of_a_merged_model(refuses, baking, trained, tmp_path):
    out = tmp_path / "out.pt"
    refuses(IO, ["out.pt"], *baking(trained.adapter, out), preexec_fn=limit_file_size(100_000))
    assert list(tmp_path.iterdir()) == []


# --- runs ---

def test_two_trainings_in_one_folder(refuses, train, tmp_path):
    (tmp_path / "run").mkdir()
    with open(tmp_path / "run/.lock", "w") as lock:
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        refuses(LOCKED, [f"process {os.getpid()}", str(tmp_path / "run")], *train())


def test_a_diverging_training_names_its_rows(refuses, train):
    refuses(DIVERGED, ["line"], *train("--learning-rate", 1e30, "--clip", 0, "--steps", 20, "--warmup", 0))


def test_a_diverging_training_goes_back_once_to_its_checkpoint(refuses, train, tmp_path):
    said = refuses(DIVERGED, ["training diverged: 3 updates in a row up to step 7", "rows of the last at lines"],
                   *train("--learning-rate", 1e30, "--clip", 0, "--steps", 20, "--warmup", 0, "--save-every", 1))
    assert said.count("back to the values of update 1") == 1
    skipped = [line for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines() if "skipped" in line]
    assert len(skipped) == 6


def test_a_stopped_run_is_not_overwritten_unasked(run, refuses, train, tmp_path):
    run(*train("--max-minutes", 1e-9), code=75)
    refuses(USAGE, ["holds a run that can go on", "--resume"], *train())
    run(*train("--overwrite"))


def test_dropout_is_off_in_evaluation(run, train, comparison, fixtures, tmp_path):
    run(*train("--dropout", 0.9, "--steps", 8, "--valid", fixtures / "valid.jsonl"))
    logged = [json.loads(line)["valid_loss"] for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()
              if "valid_loss" in line]
    run(*comparison(f"a=adapter:{tmp_path / 'run/adapter'}"), "--json", tmp_path / "table.json")
    assert json.loads((tmp_path / "table.json").read_text())["variants"][0]["loss"] == pytest.approx(min(logged), rel=1e-5)


def test_an_unfinished_run_is_no_variant(refuses, comparison, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text(json.dumps({}))
    refuses(FILE, [str(tmp_path / "run")], *comparison(f"a=run:{tmp_path / 'run'}"))
