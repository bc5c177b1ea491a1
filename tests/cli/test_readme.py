"""Every command of README.md runs as it stands there."""
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def commands(document: Path) -> list[str]:
    """The lines of all ```sh blocks, continued lines joined."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_the_two_main_commands_come_first_and_are_programs():
    first, second = [line.split()[0] for line in commands(ROOT / "README.md")[:2]]
    assert (first, second) == ("scripts/quickstart.sh", "scripts/test.sh")
    for script in (first, second):
        assert os.access(ROOT / script, os.X_OK), script
    assert second in (ROOT / ".ci/run").read_text()


def test_the_other_commands_run_in_order(tmp_path, fixtures):
    for name in ("build", ".venv", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "path/to").mkdir(parents=True)
    (tmp_path / "path/to/hf-folder").symlink_to(fixtures / "hf/tiny_llama")
    for name in ("train.jsonl", "valid.jsonl"):
        (tmp_path / name).symlink_to(fixtures / name)
    rest = commands(ROOT / "README.md")[2:]
    assert len(rest) >= 6
    for command in rest:
        result = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    for written in ("model.pt", "run/adapter/adapter_model.safetensors", "merged.pt", "full/model.pt", "report.html"):
        assert (tmp_path / written).exists(), written
