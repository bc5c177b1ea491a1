"""lora-eval compare's measures of classes and numbers against scikit-learn, SciPy and torchmetrics.

The model is a table: the outputs for a row are those of its only token, so that a test says what is predicted."""
import json
import random
from typing import NamedTuple

import cases
import pytest
import torch
from reference_training import mean_loss
from transformers import AutoTokenizer

sklearn = pytest.importorskip("sklearn.metrics")
scipy = pytest.importorskip("scipy.stats")

FLOAT32 = 1e-6   # what compare computes confidences in; the rest are sums in double


class Table(torch.nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.table = torch.nn.Embedding.from_pretrained(outputs, freeze=False)

    def forward(self, input_ids):
        return self.table(input_ids[:, 0])


@pytest.fixture
def measure(run, tmp_path):
    """measure(model, data, option, ...) -> {measure: value}"""
    def call(model, data, *options):
        report = tmp_path / "report.json"
        run("lora-eval", "compare", "--model", model, "--data", data, "--variant", "base", "--threads", 1, "--latency-repeats", 0,
            "--samples", 0, "--json", report, *options)
        return {name: found["value"] for name, found in json.loads(report.read_text())["variants"][0]["measures"].items()}

    return call


@pytest.fixture
def measure_table(measure, tmp_path):
    """measure_table(outputs, truth, metadata) -> {measure: value}: row i has label i and the outputs of row i."""
    def call(outputs, truth, **metadata):
        model, data = tmp_path / "table.pt", tmp_path / "rows.jsonl"
        unused = torch.zeros(8, outputs.size(1))   # for what the program tries before rows
        torch.jit.script(Table(torch.cat([outputs.float(), unused]))).save(
            str(model), _extra_files={"lora_meta.json": json.dumps({"format": "lora-model", "version": 1, **metadata})})
        cases.write_rows(data, [{"input_ids": [number], "label": label} for number, label in enumerate(truth)])
        return measure(model, data)

    return call


class Classified(NamedTuple):
    logits: torch.Tensor
    truth: list


def random_rows(rows, classes, seed):
    """A classifier that is right more often than not."""
    torch.manual_seed(seed)
    truth = torch.randint(classes, (rows,))
    return Classified(torch.randn(rows, classes) * 2 + 2 * torch.nn.functional.one_hot(truth, classes), truth.tolist())


def never(rows, classes, label, seed):
    """A class that is there and never predicted."""
    drawn = random_rows(rows, classes, seed)
    drawn.logits[:, label] = -30
    return drawn


def only(rows, classes, label, seed):
    """All rows are predicted to be of one class."""
    drawn = random_rows(rows, classes, seed)
    drawn.logits[:, label] = drawn.logits.amax(1) + 1
    return drawn


def absent(rows, classes, label, seed):
    """A class that is predicted and never there."""
    drawn = random_rows(rows, classes, seed)
    return drawn._replace(truth=[(label + 1) % classes if each == label else each for each in drawn.truth])


def one_sided(rows, classes, rightly):
    """Every prediction is right, or none is."""
    drawn = random_rows(rows, classes, 5)
    right = drawn.logits.argmax(1)
    return drawn._replace(truth=(right if rightly else (right + 1) % classes).tolist())


def tied(rows, classes):
    """Two likeliest classes in every row: the first one counts."""
    drawn = random_rows(rows, classes, 6)
    drawn.logits[:, 1] = drawn.logits[:, 2] = drawn.logits.amax(1) + 0.5
    return drawn


CLASSIFIED = {"two classes": random_rows(80, 2, 1), "five classes": random_rows(200, 5, 2), "77 classes": random_rows(300, 77, 3),
              "never predicted": never(60, 3, 1, 4), "only one predicted": only(40, 3, 2, 5), "never there": absent(60, 3, 0, 6),
              "all right": one_sided(30, 3, True), "none right": one_sided(30, 3, False), "ties": tied(50, 4),
              "one row": random_rows(1, 3, 7), "one row, wrong": Classified(torch.tensor([[0., 3., 1.]]), [2]),
              "two rows, one class": Classified(torch.tensor([[0., 3.], [1., 2.]]), [1, 1])}


@pytest.fixture(params=CLASSIFIED)
def classified(request):
    return CLASSIFIED[request.param]


@pytest.fixture
def class_measures(classified, measure_table):
    names = [f"class {number}" for number in range(classified.logits.size(1))]
    return measure_table(classified.logits, [names[each] for each in classified.truth], task="classification", labels=names)


@pytest.mark.filterwarnings("ignore")   # of classes that are not there, of classes that a single row has
def test_classes(classified, class_measures):
    """F1 of the classes that are there or predicted, scikit-learn's default. Micro F1 is said of more than two classes: with one class
    a row it is the accuracy."""
    truth, predicted = classified.truth, classified.logits.argmax(1).tolist()
    count = classified.logits.size(1)
    each = sklearn.f1_score(truth, predicted, average=None, labels=range(count), zero_division=0)
    expected = {"accuracy": sklearn.accuracy_score(truth, predicted), "f1_macro": sklearn.f1_score(truth, predicted, average="macro"),
                "matthews": sklearn.matthews_corrcoef(truth, predicted), **{f"f1:class {number}": each[number] for number in range(count)}}
    if count > 2:
        expected["f1_micro"] = sklearn.f1_score(truth, predicted, average="micro")
    found = {name: value for name, value in class_measures.items() if name not in ("loss", "calibration_error")}
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_calibration(classified, class_measures):
    """Bins of torchmetrics are open on the right, ours (Guo et al. 2017) on the left: no confidence here is an edge of a bin."""
    calibration_error = pytest.importorskip("torchmetrics.functional.classification").multiclass_calibration_error
    shares = classified.logits.double().softmax(1)
    assert ((shares.amax(1) * 10 % 1 - 0.5).abs() < 0.5 - FLOAT32).all()
    expected = calibration_error(shares, torch.tensor(classified.truth), shares.size(1), n_bins=10)
    assert class_measures["calibration_error"] == pytest.approx(float(expected), rel=FLOAT32, abs=FLOAT32)


def test_answers_that_are_none_of_the_words(measure, fixtures, tmp_path):
    """Label words leave out one of three kinds of answers: such rows count as wrong. F1 is of the words; the other measures know the
    rest as a class that is never predicted."""
    case, tokenizer = cases.tiny(fixtures, "gpt2"), AutoTokenizer.from_pretrained(fixtures / "hf/tiny_gpt2")
    case.live.eval()
    rows = cases.read_jsonl(fixtures / "train.jsonl")
    words = sorted({row["completion"] for row in rows})[::2]

    @torch.no_grad()
    def score(prompt, answer):
        first, second = (tokenizer(part)["input_ids"] for part in (prompt, answer))
        row = {"input_ids": first + second, "labels": [-100] * len(first) + second}
        return -float(mean_loss(case.live, [row])) * len(second)

    truth = [words.index(row["completion"]) if row["completion"] in words else -1 for row in rows]
    scores = [[score(row["prompt"], word) for word in words] for row in rows]
    predicted = [each.index(max(each)) for each in scores]
    assert set(truth) == {-1, 0, 1} and set(predicted) == {0, 1}
    expected = {"accuracy": sklearn.accuracy_score(truth, predicted), "matthews": sklearn.matthews_corrcoef(truth, predicted),
                "f1_macro": sklearn.f1_score(truth, predicted, average="macro", labels=[0, 1])}
    found = measure(case.file, fixtures / "train.jsonl", *[each for word in words for each in ("--label-words", word)])
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12, abs=1e-12)


def drawn_numbers(rows, seed, decimals):
    chance = random.Random(seed)
    truth = [round(chance.uniform(0, 5), decimals) for _ in range(rows)]
    return truth, [round(each + chance.gauss(0, 1), decimals) for each in truth]


NUMBERS = {"numbers": drawn_numbers(200, 1, 9), "ties": drawn_numbers(200, 2, 0), "two rows": ([1.5, 0.25], [3.0, 4.0]),
           "opposite": ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]), "one apart": ([0.1] * 9 + [7.0], [2.0] * 9 + [3.0]),
           "large": ([each + 1e6 for each in drawn_numbers(50, 3, 2)[0]], [each + 1e6 for each in drawn_numbers(50, 3, 2)[1]]),
           "far apart": (drawn_numbers(50, 4, 2)[0], [each + 1e3 for each in drawn_numbers(50, 4, 2)[1]]),
           "tiny": tuple([each * 1e-12 for each in side] for side in drawn_numbers(50, 5, 5))}


@pytest.fixture
def correlations(measure_table):
    def call(truth, predicted):
        found = measure_table(torch.tensor(predicted, dtype=torch.double)[:, None], truth, task="regression")
        return {name: found[name] for name in ("pearson", "spearman")}

    return call


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(correlations, name):
    truth, predicted = NUMBERS[name][0], torch.tensor(NUMBERS[name][1]).tolist()   # the model's outputs are float32
    expected = {"pearson": scipy.pearsonr(truth, predicted).statistic, "spearman": scipy.spearmanr(truth, predicted).statistic}
    assert correlations(truth, predicted) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.filterwarnings("ignore")   # SciPy's of constant input
@pytest.mark.parametrize("truth, predicted", [
    ([0.1] * 7, [0.3, 0.1, 0.5, 1.0, 2.0, 3.0, 9.0]), ([0.3, 0.1, 0.5, 1.0, 2.0], [0.3] * 5),
    ([2.4, 3.8, 1.0, -2.5, 0.1], [3.5] * 5), ([0.1] * 7, [0.3] * 7), ([0.7] * 11, [1e4 / 3] * 11), ([1 / 3] * 3, [0.7] * 3)])
def test_numbers_that_do_not_vary(correlations, truth, predicted):
    """The correlation is undefined: SciPy says NaN, we say 0."""
    assert str(scipy.spearmanr(truth, predicted).statistic) == "nan"
    assert correlations(truth, predicted) == {"pearson": 0, "spearman": 0}
