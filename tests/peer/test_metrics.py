"""lora-eval score against the reference packages, on real references and texts made by spoiling them."""
import json
import random

import pytest


@pytest.fixture(scope="module", params=["e2e_nlg", "webnlg", "hostile", "short references"])
def texts(request, shared_data):
    """(predictions, references): real ones with words dropped, doubled and exchanged; texts that try tokenizers; references with fewer
    characters and words than n-grams have."""
    if request.param == "short references":
        return ["a long sentence here", "hello there you", "no", "x y z"], [["cat"], ["hello there me"], ["no"], ["x", "q r"]]
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


class NoSynonyms:
    """A WordNet without a word."""

    def synsets(self, _word):
        return []


def nltk_meteor(predictions, references):
    meteor = pytest.importorskip("nltk.translate.meteor_score")
    from nltk.stem.porter import PorterStemmer
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
    stemmer, tokenizer = PorterStemmer(mode=PorterStemmer.MARTIN_EXTENSIONS), Tokenizer13a()

    def words(text):
        return tokenizer(text.lower()).split()

    each = [meteor.meteor_score([words(one) for one in some], words(text), stemmer=stemmer, wordnet=NoSynonyms())
            for text, some in zip(predictions, references)]
    return sum(each) / len(each)


def test_meteor(scores, texts):
    assert scores("meteor_stem") == pytest.approx({"meteor_stem": nltk_meteor(*texts)}, rel=1e-9)


@pytest.mark.parametrize("name", ["e2e_dev10", "edge_cases", "nlgeval2"])
def test_meteor_of_small_sets(run, shared_data, tmp_path, name):
    rows = [json.loads(line) for line in (shared_data / f"metrics_basics/{name}.jsonl").read_text().splitlines()]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"prediction": row["completion"], "references": row["references"]}) + "\n" for row in rows))
    result = run("lora-eval", "score", "--predictions", file, "--metrics", "meteor_stem", "--samples", 0, "--json")
    expected = nltk_meteor([row["completion"] for row in rows], [row["references"] for row in rows])
    found = json.loads(result.stdout)["systems"][0]["scores"]["meteor_stem"]["value"]
    assert 0 < found < 1 and found == pytest.approx(expected, rel=1e-9)


def test_stems(run, shared_data, tmp_path):
    """A word beside its stem by nltk scores one half, as every single pair, if ours is the same."""
    porter = pytest.importorskip("nltk.stem.porter")
    stemmer = porter.PorterStemmer(mode="MARTIN_EXTENSIONS")
    text = "".join((shared_data / name / "test.jsonl").read_text() for name in ("e2e_nlg", "webnlg"))
    known = sorted({word for word in text.lower().split() if word.isascii() and word.isalpha()})
    endings = ["s", "ed", "ing", "ly", "ational", "iveness", "logi", "ement", "ization"]
    words = [word + ending for word in known for ending in endings]
    file = tmp_path / "words.jsonl"
    file.write_text("".join(json.dumps({"prediction": word, "references": [stem]}) + "\n"
                            for word in words for stem in [stemmer.stem(word)] if stemmer.stem(stem) == stem))
    count = len(file.read_text().splitlines())
    assert count > 1000
    result = run("lora-eval", "score", "--predictions", file, "--metrics", "meteor_stem", "--samples", 0, "--json")
    assert json.loads(result.stdout)["systems"][0]["scores"]["meteor_stem"]["value"] == pytest.approx(0.5, rel=1e-12)
