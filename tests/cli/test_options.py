"""Configuration: every wrong flag, key or value ends with exit code 2 and says what would be right."""
import json

import pytest

CODE = 2


@pytest.fixture
def config(tmp_path):
    """config({...}) or config("text"): the path of a config file."""
    def write(content):
        path = tmp_path / "config.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.mark.parametrize("command, parts", [
    (["lora-train", "--rnak", "8"], ["unknown option --rnak", "--rank"]),
    (["lora-train", "--learning_rate", "1"], ["unknown option --learning_rate", "--learning-rate"]),
    (["lora-train", "model.pt"], ['unexpected argument "model.pt"', "lora-train --help"]),
    (["lora-train", "--model", "m.pt"], ["--data is missing", "--out is missing", "hint: "]),
    (["lora-train", "--list-targets"], ["--model is missing"]),
    (["lora-train", "--model"], ["--model needs a value"]),
    (["lora-train", "--method", "lra"], ["one of lora, dora, bottleneck", "nearest: lora"]),
    (["lora-train", "--quiet", "--verbose"], ["contradict"]),
    (["lora-merge", "bkae"], ['unknown command, found "bkae"', "did you mean bake?"]),
    (["lora-merge", "--model", "m.pt"], ["a command must come first", "expected one of bake, combine"]),
    (["lora-merge", "bake", "--adaptor", "x"], ["--adaptor", "nearest: --adapter", "lora-merge bake --help"]),
    (["lora-merge", "inspect", "--json"], ["--adapter is missing"]),
    (["lora-merge", "inspect", "a", "b"], ['unexpected argument "b"']),
    (["lora-eval", "comapre"], ["did you mean compare?"]),
    (["lora-eval", "compare", "--model", "m.pt"], ["--data is missing", "--variant is missing"]),
])
def test_typing_mistakes(refuses, command, parts):
    refuses(CODE, parts, *command)


MERGE = ["bake", "combine", "convert", "diff", "extract", "inspect", "resize", "restore", "verify"]
COMMANDS = [["lora-train"], *(["lora-merge", word] for word in MERGE), ["lora-eval", "chat"],
            ["lora-eval", "compare"], ["lora-eval", "generate"], ["lora-eval", "score"]]

# Two wrong values for each option, and what a right one must be.
WRONG_NUMBERS = {"rank": [(-1, "at least 1"), (0, "at least 1")],
                 "steps": [(0, "at least 1"), (3.9, "a whole number")],
                 "seed": [(-1, "at least 0"), (5e9, "a whole number")],
                 "threads": [(5000000000, "at most 2147483647"), (-1, "at least 0")],
                 "learning_rate": [(0, "above 0"), (-1e-3, "above 0")],
                 "dropout": [(1, "between 0 and 0.999"), (-0.1, "between 0 and 0.999")]}


@pytest.mark.parametrize("choice", [0, 1])
def test_wrong_numbers_are_refused_in_flags_and_files_and_listed_together(refuses, config, choice):
    wrong = {key: values[choice] for key, values in WRONG_NUMBERS.items()}
    flags = {key: "--" + key.replace("_", "-") for key in wrong}
    refuses(CODE, [f'{flags[key]} must be {must}, found "{value}"' for key, (value, must) in wrong.items()],
            "lora-train", *[f"{flags[key]}={value}" for key, (value, _) in wrong.items()])
    refuses(CODE, [f'"{key}" must be {must}' for key, (_, must) in wrong.items()],
            "lora-train", "--config", config({key: value for key, (value, _) in wrong.items()}))


def test_wrong_types_are_listed_together(refuses, config):
    must = {"--learning-rate=nan": "a finite number", "--alpha=fast": "a finite number",
            "--steps=": "a whole number", "--rank=8x": "a whole number", "--bucket=maybe": "true or false"}
    refuses(CODE, [f"{flag.split('=')[0]} must be {kind}" for flag, kind in must.items()],
            "lora-train", *must)
    wrong = {"rank": "8", "alpha": None, "bucket": 1, "device": 3, "targets": "qv", "layers": ["0"],
             "exclude": [1]}
    message = refuses(CODE, [f': "{key}' for key in wrong], "lora-train", "--config", config(wrong))
    assert message.count(" must be ") == len(wrong)


@pytest.mark.parametrize("text, parts", [
    ('{"rnak": 8}', ['unknown option "rnak"', "nearest: rank"]),
    ('{"rnak": 8, "alpha": -1}', ['"rnak"', '"alpha" must be above 0, found -1']),
    ('{"rank": 8, "rank": 9}', ["occurs twice"]),
    ('{"learning_rate": NaN}', ["malformed JSON"]),
    ('{"learning_rate": 1e999}', ["malformed JSON"]),
    ('{"rank": 8', ["malformed JSON"]),
    ('[1]', ["one JSON object"]),
    ("", ["it is empty"]),
    ("[" * 100000, ["nested deeper"]),
    ('{"rnak\\u001b[31m": 8}', ['unknown option "rnak[31m"']),
])
def test_config_files(refuses, config, text, parts):
    refuses(CODE, [f'config "{config(text)}"', *parts], "lora-train", "--config", config(text))


def test_a_missing_config_file_is_an_io_error(refuses, tmp_path):
    refuses(6, [str(tmp_path / "none.json")], "lora-train", "--config", tmp_path / "none.json")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_printed_config_fed_back_is_identical(run, config, command):
    printed = run(*command, "--print-config").stdout
    again = run(*command, "--print-config", "--config", config(printed)).stdout
    assert again == printed
    assert list(json.loads(printed)), "no options"


def test_flags_win_over_the_file_and_the_file_over_the_default(run, config):
    path = config({"rank": 8, "alpha": 5, "targets": ["q_proj"]})
    resolved = json.loads(run("lora-train", "--rank", 4, "--print-config", "--config", path).stdout)
    assert (resolved["rank"], resolved["alpha"], resolved["targets"]) == (4, 5.0, ["q_proj"])
    assert resolved["seed"] == json.loads(run("lora-train", "--print-config").stdout)["seed"]


@pytest.mark.parametrize("options, targets", [
    (["--targets", "q_proj", "v_proj"], ["q_proj", "v_proj"]),
    (["--targets", "q_proj,v_proj"], ["q_proj", "v_proj"]),
    (["--targets", "q_proj", "--targets", "v_proj"], ["q_proj", "v_proj"]),
    (["--targets", "/layers.[0,1].*q_proj/"], ["/layers.[0,1].*q_proj/"])])
def test_lists_may_be_written_in_three_ways(run, options, targets):
    assert json.loads(run("lora-train", *options, "--print-config").stdout)["targets"] == targets


@pytest.mark.parametrize("device, part", [("gpu", 'device "gpu" is unknown'), ("meta", "not supported"),
                                          ("cuda:99", 'device "cuda:99"'), ("", "is unknown")])
def test_devices_that_are_not_there(refuses, train, device, part):
    refuses(CODE, [part, "--device cpu"], *train(f"--device={device}"))


def test_targets_that_match_nothing_name_the_nearest(refuses, train):
    refuses(CODE, ["v_porj", "nearest", "v_proj"], *train("--targets", "q_proj,v_porj"))


def test_targets_in_few_layers_are_refused_by_choice(run, refuses, train):
    few = train("--targets", "layers.0.self_attn.q_proj,layers.2.mlp.up_proj", "--min-coverage", 0.7)
    refuses(CODE, ["found in 2 of 3 layers, not in 1", "a share of 0.7"], *few)
    run(*train("--targets", "q_proj", "--min-coverage", 1, "--dry-run"))


def test_layers_beyond_the_model(refuses, train):
    refuses(CODE, ["--layers 0-99", "layers 0-"], *train("--layers", "0-99"))


def test_a_rank_beyond_the_matrix(refuses, train):
    refuses(CODE, ["rank 4096"], *train("--rank", 4096))


def test_a_finished_run_is_not_overwritten_silently(run, refuses, train):
    run(*train())
    refuses(CODE, ["finished run", "--overwrite"], *train())
    run(*train("--overwrite"))


def test_the_record_of_a_run_repeats_it(run, train, tmp_path):
    run(*train("--rank", 3, "--seed", 7))
    run("lora-train", "--config", tmp_path / "run/config.json", "--out", tmp_path / "again")

    def outcome(name):
        """Options and losses of a run."""
        options = json.loads((tmp_path / name / "config.json").read_text())["options"]
        metrics = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        return options | {"out": ""}, [row["loss"] for row in metrics if "loss" in row]

    assert outcome("again") == outcome("run")
    options, losses = outcome("run")
    assert (options["rank"], len(losses)) == (3, 2)


def test_a_merge_into_its_own_input_is_refused(refuses, baking, trained, base):
    refuses(CODE, ["is an input"], *baking(trained.adapter, base, "--overwrite"))


def test_an_existing_output_is_kept(refuses, baking, trained):
    before = trained.merged.read_bytes()
    refuses(CODE, ["exists", "--overwrite"], *baking(trained.adapter, trained.merged))
    assert trained.merged.read_bytes() == before


@pytest.mark.parametrize("variant, part", [
    ("nonsense", "expected base or NAME=KIND:PATH"), ("a=tower:/tmp", 'unknown kind "tower"')])
def test_variants_that_are_none(refuses, comparison, variant, part):
    refuses(CODE, [part, "--variant base"], *comparison(variant))
