"""lora-eval score against the reference packages, on real references and texts made by spoiling them."""
import json
import random
import re

import pytest


@pytest.fixture(scope="module", params=["e2e_nlg", "webnlg", "hostile", "short references", "short answers"])
def texts(request, shared_data):
    """(predictions, references): real ones with words dropped, doubled and exchanged; texts that try tokenizers; references with fewer
    characters and words than n-grams have; answers of articles, quotation marks and nothing."""
    if request.param == "short references":
        return ["a long sentence here", "hello there you", "no", "x y z"], [["cat"], ["hello there me"], ["no"], ["x", "q r"]]
    if request.param == "short answers":
        answers = {"The Cat!": ["a dog", "cat"], "": ["the"], "the": [""], "a": ["b"], "“The cat” sat": ["“cat” sat", "the cat sat"],
                   "the–end of an ...": ["end of", "–end of"], "A b a": ["b"], "the\u0301 a_b": ["\u0301 ab"], "it's the U.S.": ["its US"],
                   "of of the cat": ["of the of cat"], "theatre an-a": ["theatre ana"], "1,000": ["1000"], "\u00a0the\u2003x": ["x"]}
        return list(answers), list(answers.values())
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
def score_texts(run, tmp_path):
    """score_texts(predictions, references, metric, ...) -> {metric: value}"""
    def score(predictions, references, *metrics):
        file = tmp_path / "predictions.jsonl"
        file.write_text("".join(json.dumps({"prediction": text, "references": some}) + "\n"
                                for text, some in zip(predictions, references)))
        result = run("lora-eval", "score", "--predictions", file, "--metrics", ",".join(metrics), "--samples", 0, "--json")
        return {name: value["value"] for name, value in json.loads(result.stdout)["systems"][0]["scores"].items()}

    return score


@pytest.fixture
def scores(score_texts, texts):
    return lambda *metrics: score_texts(*texts, *metrics)


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


def test_squad(scores, texts):
    """By torchmetrics, whose sums are float32."""
    torchmetrics_text = pytest.importorskip("torchmetrics.functional.text")
    predictions = [{"prediction_text": text, "id": str(number)} for number, text in enumerate(texts[0])]
    answers = [{"answers": {"text": some, "answer_start": [0] * len(some)}, "id": str(number)} for number, some in enumerate(texts[1])]
    expected = torchmetrics_text.squad(predictions, answers)
    assert scores("exact_match", "token_f1") == pytest.approx(
        {"exact_match": float(expected["exact_match"]) / 100, "token_f1": float(expected["f1"]) / 100}, rel=1e-6, abs=1e-7)


def test_rouge_score(scores, texts):
    scorer_module = pytest.importorskip("rouge_score.rouge_scorer")
    scorer = scorer_module.RougeScorer(["rouge1", "rouge2", "rougeL"])
    each = [scorer.score_multi(some, text) for text, some in zip(*texts)]
    expected = {ours: sum(one[theirs].fmeasure for one in each) / len(each)
                for ours, theirs in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL"))}
    assert scores(*expected) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def bare(text):
    """Its words in lower case with spaces between: every tokenization leaves these alone."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


@pytest.fixture
def bare_texts(texts):
    return [bare(text) for text in texts[0]], [[bare(one) for one in some] for some in texts[1]]


@pytest.mark.parametrize("copies", [1, 3])
def test_nist(score_texts, bare_texts, copies):
    """On words and with one reference (or several that are equal), where nltk's definition is that of mteval-v13a.pl: of several
    references nltk takes the best for each order and its length, the Perl program each n-gram's largest count in any and their mean
    length. nltk divides by zero for orders without n-grams, which add nothing."""
    nist = pytest.importorskip("nltk.translate.nist_score")
    predictions, references = bare_texts[0], [some[:1] * copies for some in bare_texts[1]]
    order = min(5, max(len(text.split()) for text in predictions))
    expected = nist.corpus_nist([[one.split() for one in some] for some in references], [text.split() for text in predictions], n=order)
    assert score_texts(predictions, references, "nist") == pytest.approx({"nist": expected}, rel=1e-9, abs=1e-12)


def test_caption_code(score_texts, bare_texts):
    """On words: its own tokenizer is a Java program."""
    cider, rouge = (pytest.importorskip(f"pycocoevalcap.{name}.{name}") for name in ("cider", "rouge"))
    predictions, references = ({number: value for number, value in enumerate(values)}
                               for values in ([[text] for text in bare_texts[0]], bare_texts[1]))
    expected = {name: metric.compute_score(references, predictions)[0]
                for name, metric in (("cider", cider.Cider()), ("rouge_l_coco", rouge.Rouge()))}
    assert score_texts(*bare_texts, *expected) == pytest.approx(expected, rel=1e-9, abs=1e-12)


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
def test_meteor_of_small_sets(score_texts, shared_data, name):
    rows = [json.loads(line) for line in (shared_data / f"metrics_basics/{name}.jsonl").read_text().splitlines()]
    sides = [row["completion"] for row in rows], [row["references"] for row in rows]
    expected, found = nltk_meteor(*sides), score_texts(*sides, "meteor_stem")["meteor_stem"]
    assert 0 < found < 1 and found == pytest.approx(expected, rel=1e-9)


def test_stems(score_texts, shared_data):
    """A word beside its stem by nltk scores one half, as every single pair, if ours is the same."""
    porter = pytest.importorskip("nltk.stem.porter")
    stemmer = porter.PorterStemmer(mode="MARTIN_EXTENSIONS")
    text = "".join((shared_data / name / "test.jsonl").read_text() for name in ("e2e_nlg", "webnlg"))
    known = sorted({word for word in text.lower().split() if word.isascii() and word.isalpha()})
    endings = ["s", "ed", "ing", "ly", "ational", "iveness", "logi", "ement", "ization"]
    words = [word + ending for word in known for ending in endings]
    pairs = [(word, [stem]) for word in words for stem in [stemmer.stem(word)] if stemmer.stem(stem) == stem]
    assert len(pairs) > 1000
    assert score_texts(*zip(*pairs), "meteor_stem")["meteor_stem"] == pytest.approx(0.5, rel=1e-12)
