"""cmake --install makes a prefix whose programs find LibTorch."""
import os
import subprocess
from pathlib import Path


def test_an_installed_program_runs_from_its_prefix(root, tmp_path):
    build = Path(os.environ.get("LORA_BIN", str(root / "build/release/bin"))).parent
    prefix = tmp_path / "prefix"
    subprocess.run(["cmake", "--install", build, "--prefix", prefix], check=True, capture_output=True)
    programs = sorted((prefix / "bin").iterdir())
    assert [program.name for program in programs] == ["lora-eval", "lora-merge", "lora-train"]
    assert ({path.name for path in (prefix / "share/lora/configs").iterdir()}
            == {path.name for path in (root / "configs").iterdir()})
    # Nothing but the RUNPATH may lead to LibTorch.
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    for program in programs:
        result = subprocess.run([program, "--version"], capture_output=True, text=True, env=environment,
                                cwd=tmp_path)
        assert result.returncode == 0 and result.stdout.startswith(program.name), result.stderr


def test_the_shipped_configs_are_valid(root, run):
    for config in sorted((root / "configs").glob("*.json")):
        run("lora-train", "--config", config, "--print-config")
