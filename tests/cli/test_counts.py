"""What an update computes, allocates and keeps: counts, which do not depend on the load of a machine. They follow
from the tiny Llama's shapes; the plain graph and padded rows show that each of them could be missed."""
import json
from types import SimpleNamespace

import pytest

RANK, PROMPT, HEAD_ROWS = 4, 20, 256
LENGTHS = [101, 81, 121, 61, 111, 41]     # ids of a row; the last one is no input
REWRITES = ("norm", "mlp", "rotary", "attention", "rows", "shared")
WHOLE = ["--targets", "all-linear", "--rank", RANK]


def without(rewrite):
    return ["--rewrites", ",".join(each for each in REWRITES if each != rewrite)]


@pytest.fixture(scope="module")
def shapes(fixtures):
    """The model's sizes and the linears of a layer as (in, out)."""
    config = json.loads((fixtures / "hf/tiny_llama/config.json").read_text())
    width, inner, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    head = width // heads
    narrow = config["num_key_value_heads"] * head
    linears = [(width, width), (width, narrow), (width, narrow), (width, width),    # q, k, v, o
               (width, inner), (width, inner), (inner, width)]                      # gate, up, down
    return SimpleNamespace(layers=config["num_hidden_layers"], vocabulary=config["vocab_size"], width=width,
                           inner=inner, heads=heads, head=head, narrow=narrow, linears=linears)


@pytest.fixture(scope="module")
def profile(run, base, tmp_path_factory):
    """profile(option, ...): the profile of a few updates that all see the same rows."""
    folder = tmp_path_factory.mktemp("counts")
    rows = [{"input_ids": [3 + (row + i) % 50 for i in range(length)],
             "labels": [-100] * PROMPT + [3 + (row + i) % 50 for i in range(PROMPT, length)]}
            for row, length in enumerate(LENGTHS)]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = {}

    def call(*options, steps=3):
        key = (*options, steps)
        if key not in done:
            run("lora-train", "--model", base, "--data", data, "--out", folder / "run", "--overwrite", "--profile",
                "--steps", steps, "--batch-size", len(rows), "--threads", 1, "--no-shuffle", *WHOLE, *options)
            done[key] = json.loads((folder / "run/report.json").read_text())["profile"]
        return done[key]

    return call


def tokens_of(packed):
    """Positions that one update computes."""
    return sum(length - 1 for length in LENGTHS) if packed else len(LENGTHS) * (max(LENGTHS) - 1)


def labels():
    return sum(length - PROMPT for length in LENGTHS)


def an_update(profile, phase, kind):
    count, rest = divmod(profile["phases"][phase][kind], profile["updates"])
    assert rest == 0
    return count


def scores(packed):
    """Products of a query and a key for each head: causal, and none beyond a row's own tokens, but for padding,
    which sees what the row holds."""
    longest = max(LENGTHS) - 1
    own = sum((length - 1) * length // 2 for length in LENGTHS)
    return own if packed else own + sum((longest - length + 1) * (length - 1) for length in LENGTHS)


def check_gemm(profile, shapes, packed=True):
    """Frozen products and low-rank ones, forward and backward; nothing goes back below the first adapted site, and
    the last layer works at labelled positions only, behind its attention."""
    time, head = tokens_of(packed), labels() * shapes.vocabulary * shapes.width
    rows = [time] * len(shapes.linears) * (shapes.layers - 1) + [time] * 3 + [labels()] * 4
    sites = list(zip(rows, shapes.linears * shapes.layers))
    forward = sum(n * (i * o + RANK * (i + o)) for n, (i, o) in sites)
    backward = sum(n * (i * o + 2 * RANK * (i + o)) for n, (i, o) in sites)
    first = sum(n * (i * o + RANK * i) for n, (i, o) in sites[:3])
    assert an_update(profile, "forward", "gemm_flops") == 2 * (forward + head)
    assert an_update(profile, "backward", "gemm_flops") == 2 * (backward - first + head)


def check_attention(profile, shapes, packed=True):
    one = 2 * shapes.layers * shapes.heads * shapes.head * scores(packed)
    assert an_update(profile, "forward", "attention_flops") == 2 * one
    assert an_update(profile, "backward", "attention_flops") == 5 * one


def check_tokens(profile, packed=True):
    assert profile["tokens"] == profile["updates"] * tokens_of(packed=True)
    assert profile["computed_tokens"] == profile["updates"] * tokens_of(packed)
    assert profile["labelled"] == profile["updates"] * labels()


def check_kept(profile, shapes):
    """What operations keep for the backward pass, in floats: inputs of norms and products, both of each gate's,
    queries, keys, values and outputs of attention, small products; logits of one part of the labels."""
    attention = 2 * shapes.width + 2 * shapes.narrow + shapes.heads
    before = (shapes.width + 1) + shapes.width + 3 * RANK + attention                   # norm, q, k, v, attention
    behind = RANK + (shapes.width + 1) + shapes.width + 3 * shapes.inner + 3 * RANK     # o, norm, MLP
    time = tokens_of(packed=True)
    floats = time * (shapes.layers * before - (shapes.width + 1) + (shapes.layers - 1) * behind + 2 * shapes.head)
    last = shapes.width + behind + (shapes.width + 1) + shapes.width    # the same of the last layer, and what ends it
    floats += labels() * last + min(labels(), HEAD_ROWS) * shapes.vocabulary
    assert profile["kept_bytes"] == pytest.approx(4 * floats + 8 * (3 * time + 2 * labels()), rel=0.01)


def check_allocations(profile):
    large = profile["large_allocations"]
    assert large["least"] == large["most"] <= large["first"]
    assert large["most"] <= 110


def test_products_are_those_of_the_shapes(profile, shapes):
    check_gemm(profile(), shapes)
    check_attention(profile(), shapes)
    check_gemm(profile("--no-pack"), shapes, packed=False)
    check_attention(profile("--no-pack"), shapes, packed=False)


def test_lanes_compute_nothing_twice(profile, shapes):
    for check in (check_gemm, check_attention):
        check(profile("--lanes", 2), shapes)
    check_tokens(profile("--lanes", 2))


def test_packing_computes_no_padding(profile):
    check_tokens(profile())
    check_tokens(profile("--no-pack"), packed=False)


def test_rewrites_keep_what_they_need(profile, shapes):
    check_kept(profile(), shapes)


def test_updates_allocate_alike_and_nothing_grows(profile):
    few, many = profile(), profile(steps=6)
    check_allocations(few)
    check_allocations(many)
    for phase in ("forward", "backward"):
        assert an_update(few, phase, "allocated_bytes") == an_update(many, phase, "allocated_bytes")
        assert few["phases"][phase]["highest_bytes"] == many["phases"][phase]["highest_bytes"]
    assert few["kept_bytes"] == many["kept_bytes"]


@pytest.mark.parametrize("check, options", [
    (check_gemm, ["--no-pack"]), (check_gemm, without("rows")), (check_attention, ["--no-pack"]),
    (check_attention, ["--rewrites", "none"]), (check_attention, without("attention")),
    *((check_kept, without(rewrite)) for rewrite in REWRITES if rewrite not in ("rotary", "shared"))])   # keep what the plain way keeps
def test_the_plain_way_would_be_noticed(profile, shapes, check, options):
    with pytest.raises(AssertionError):
        check(profile(*options), shapes)


def test_padding_and_plain_allocations_would_be_noticed(profile):
    with pytest.raises(AssertionError):
        check_tokens(profile("--no-pack"))
    with pytest.raises(AssertionError):
        check_allocations(profile("--rewrites", "none"))


def test_checkpointed_layers_keep_what_enters_them(profile, shapes):
    """One activation a layer, angles, and what goes into the head, and little more; all but the head's logits twice."""
    whole, checkpointed = profile(), profile("--checkpoint-activations")
    time = tokens_of(packed=True)
    floats = time * (shapes.layers * shapes.width + 2 * shapes.head) + labels() * shapes.width \
        + min(labels(), HEAD_ROWS) * shapes.vocabulary
    assert 4 * floats < checkpointed["kept_bytes"] < whole["kept_bytes"] / 3
    highest = [each["phases"]["backward"]["highest_bytes"] for each in (whole, checkpointed)]
    assert highest[1] < 0.65 * highest[0]
    head = 2 * labels() * shapes.vocabulary * shapes.width
    forward, backward = (an_update(whole, phase, "gemm_flops") for phase in ("forward", "backward"))
    assert an_update(checkpointed, "forward", "gemm_flops") == forward
    assert an_update(checkpointed, "backward", "gemm_flops") == backward + forward - head


@pytest.mark.parametrize("options", [[], ["--no-pack"], ["--method", "full"], ["--method", "dora"],
                                     ["--rewrites", "none"]])
def test_checkpointed_layers_have_the_same_gradients(base, fixtures, run, tmp_path, options):
    """Bit by bit, dropout included."""
    losses = []
    for name in ("whole", "checkpointed"):
        more = ["--checkpoint-activations"] if name == "checkpointed" else []
        if "full" not in options:
            more += ["--dropout", "0.2"]
        run("lora-train", "--model", base, "--data", fixtures / "train.jsonl", "--out", tmp_path / name, "--steps", 4,
            "--batch-size", 4, "--threads", 1, "--learning-rate", "1e-2", *options, *more)
        lines = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        losses.append([(line["loss"], line["gradient_norm"]) for line in lines])
    assert len(set(losses[0])) == 4
    assert losses[0] == losses[1]
