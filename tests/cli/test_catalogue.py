"""tests/catalogue.json names a test for every failure that the project promises to survive."""
import json
import re
import subprocess
import sys


def names_of(root):
    """Every test of the project: "file.py::test", or the name of a C++ test case."""
    for path in (root / "tests").rglob("test_*.py"):
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE):
            yield f"{path.name}::{name}"
    for path in (root / "tests").rglob("test_*.cpp"):
        for literals in re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', path.read_text()):
            yield "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


def test_every_named_test_exists(root):
    known = set(names_of(root))
    assert len(known) > 500
    rows = json.loads((root / "tests/catalogue.json").read_text())
    assert len({failure for _, failure, _, _ in rows}) == len(rows) > 50
    missing = [name for _, _, _, tests in rows for name in tests if name not in known]
    assert not missing


def test_the_document_is_made_of_the_catalogue_and_the_figures(root):
    result = subprocess.run([sys.executable, root / "scripts/reliability.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
