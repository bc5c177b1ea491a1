"""lora-eval score against the reference packages, on real references and texts made by spoiling them."""
import json
import random

import pytest


@pytest.fixture(scope="module", params=["e2e_nlg", "webnlg", "hostile"])
def texts(request, shared_data):
    """(predictions, references): real ones with words dropped, doubled and exchanged; texts that try tokenizers."""
    if request.param == "hostile":
        references = [["“Déjà vu”, she said—twice!", "Deja vu: she said it."], ["3.5% of 1,000 (ca. 35) isn't much."],
                      ["日本語の テキスト です。"], ["a-b c - d, e.f; g/h"], ["&quot;R&amp;D&quot; costs $5.-"], ["…"], [" x  y "]]
        predictions = ["Déjà vu, she said twice.", "3.5 % of 1,000 is not much", "日本語 です。", "a-b c-d , e.f", '"R&D" costs 5', "", "y x"]
        return predictions, references
    rows = [json.loads(line) for line in (shared_data / request.param / "test.jsonl").read_text().splitlines()]
    rows = random.Random(3).sample(rows, 150)
    chance = random.Random(4)

    def spoilt(text):
        words = [word for word in text.split() for _ in range(chance.choice([0, 1, 1, 1, 1, 1, 2]))]
        if len(words) > 3 and chance.random() < 0.5:
            words[0], words[2] = words[2], words[0]
        return " ".join(words)

    references = [row.get("references") or [row["completion"].strip()] for row in rows]
    return [spoilt(some[0]) for some in references], references


@pytest.fixture
def scores(run, tmp_path, texts):
    def score(*metrics):
        file = tmp_path / "predictions.jsonl"
        file.write_text("".join(json.dumps({"prediction": text, "references": some}) + "\n" for text, some in zip(*texts)))
        result = run("lora-eval", "score", "--predictions", file, "--metrics", ",".join(metrics), "--samples", 0, "--json")
        return {name: value["value"] for name, value in json.loads(result.stdout)["systems"][0]["scores"].items()}

    return score


def test_sacrebleu(scores, texts):
    sacrebleu = pytest.importorskip("sacrebleu")
    predictions, references = texts
    most = max(map(len, references))
    streams = [[some[i] if i < len(some) else None for some in references] for i in range(most)]
    expected = {"bleu": sacrebleu.corpus_bleu(predictions, streams).score,
                "e2e_bleu": sacrebleu.corpus_bleu(predictions, streams, lowercase=True).score / 100,
                "chrf": sacrebleu.corpus_chrf(predictions, streams).score,
                "chrf++": sacrebleu.corpus_chrf(predictions, streams, word_order=2).score,
                "ter": sacrebleu.corpus_ter(predictions, streams).score}
    assert scores(*expected) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_rouge_score(scores, texts):
    scorer_module = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = scorer_module.RougeScorer(["rouge1", "rouge2", "rougeL"])
    each = [scorer.score_multi(some, text) for text, some in zip(*texts)]
    expected = {ours: sum(one[theirs].fmeasure for one in each) / len(each)
                for ours, theirs in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL"))}
    assert scores(*expected) == pytest.approx(expected, rel=1e-9, abs=1e-9)
