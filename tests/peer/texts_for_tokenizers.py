"""Texts to tokenize: awkward ones, generated ones, and all strings of the shared data."""

import json
import random

AWKWARD = [
    "", " ", "   ", "\n", "\r\n\r\n", "\t \n  \t", "a", " a", "a ", "  a  b  ", "x" * 5000, "é" * 300, " " * 300 + "x",
    "Hello, world!", "I'm you're it's THEY'LL 'tis don't", "'ſ 'S ſtraße GROẞ", "1234567890 12,345.67 ½ ² ٣ १२३",
    "line\nbreak\r\nmixed\rends\u2028and\u2029more\x85", "tab\tsep\x0bvt\x0cff", "nul\x00 bell\x07 del\x7f c1\x9f",
    "NBSP\u00a0ideographic\u3000thin\u2009zero\u200bwidth\ufeffBOM\u180eend", "soft\u00adhyphen",
    "e\u0301 é o\u0302\u0323 ộ \u0301lone", "ǆ ǅ ﬁ ﬀ ① ㌀ Å Ω K", "İstanbul ıI Σίσυφος ὈΔΥΣΣΕΎΣ",
    "日本語のテキスト、漢字。カタカナ ｶﾀｶﾅ 한국어 한글 中文字符𠀀𪜀", "مرحبا بالعالم ١٢٣ שלום עולם", "हिन्दी नमस्ते தமிழ் ไทยภาษา",
    "👍 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪 ❤️ 🤦🏼‍♂️", "Zalgo Ḧ̷̢̡̛͔̦̝̟́̿͊e͙͚͋̀", "\u202eRTL override\u202c \u2066isolate\u2069",
    "\ud7ff\ue000 \uf8ff \ufffd \uffff \U0010ffff \U000e0001", "\U0001f469\u200d\U0001f52c", "\u0378\u0379 unassigned",
    "<s>", "</s>", "<unk>", "[CLS] [SEP] [UNK] [MASK]", "a<s>b </s> c<pad>", "<|endoftext|>",
    "<|im_start|>user\nhi<|im_end|>",
    "<|begin_of_text|><|start_header_id|>x<|eot_id|>", "the <mask> of <mask>, <mask>", "<tool_call>{}</tool_call>",
    "<|im_end", "<|im_end|", "|im_end|>", "<0x0A> <0xE2><0x96><0x81>", "▁lower▁one eighth ▁",
    "##piece @@ </w> Ġspace Ċ",
    "def f(x):\n    return {'a': x**2}  # 100%\n\n\n", "https://example.org/a?b=c&d=%20#e", "a_b-c.d,e;f:g!h?i",
    "$1.50 = 20*1.5 «quotes» “curly” ‘single’ …—–",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "do not . ! ? , n't 's",
    "ALLCAPSWORD CamelCaseWord snake_case_word kebab-case-word",
    "\u1100\u1161\u11a8 jamo \uac01", "\u0958 \u09dc \ufb1d",
]  # fmt: skip

_ALPHABETS = [
    "abcdefghij", "etaoin shrdlu", "ABCdef'  .,", "0123456789 ", "äöüßéñ ", "日本語中文 ", "👍🏽‍❤️ a", " \n\t\r", "<|>s/ ",
]  # fmt: skip


def generated(count, seed=1):
    """Sentences of invented words and of odd characters."""
    draw = random.Random(seed)
    vocabulary = ["".join(draw.choices("etaoinshrdlucmfw", k=draw.randint(1, 9))) for _ in range(600)]
    texts = []
    for number in range(count):
        if number % 3 == 0:
            texts.append("".join(draw.choices(draw.choice(_ALPHABETS), k=draw.randint(1, 60))))
        else:
            sentence = " ".join(draw.choices(vocabulary, k=draw.randint(2, 25)))
            texts.append(sentence.capitalize() + draw.choice(".!?\n"))
    return texts


def strings(value):
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def strings_of(folder):
    """Every different string in the JSONL files of a folder, and its text files as lines and as a whole."""
    found = {}
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            found.update(dict.fromkeys(strings(json.loads(line)) if line.strip() else ()))
    for path in sorted(folder.rglob("*.txt")):
        text = path.read_text(encoding="utf-8")
        found.update(dict.fromkeys([*text.split("\n"), text]))
    return list(found)
