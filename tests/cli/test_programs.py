"""Help, version, and what happens when stdout is not what it should be."""
import os
import re
import subprocess
import sys

import pytest

MERGE = ["bake", "combine", "convert", "diff", "extract", "inspect", "resize", "restore", "verify"]
COMMANDS = [["lora-train"], *(["lora-merge", word] for word in MERGE), ["lora-eval", "chat"], ["lora-eval", "compare"],
            ["lora-eval", "generate"], ["lora-eval", "score"]]


@pytest.fixture
def shell(root):
    """shell(script): bash with the programs on its path."""
    def run_script(script):
        folder = os.environ.get("LORA_BIN", str(root / "build/release/bin"))
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)

    return run_script


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", [80, 100])
def test_help_begins_with_purpose_usage_and_examples_and_fits_the_terminal(run, command, columns):
    text = run(*command, "--help", env={"COLUMNS": str(columns)}).stdout
    assert re.match(r"[A-Z][^\n]*\n", text)
    name = re.escape(" ".join(command))
    assert re.search(rf"^usage: {name} ", text, re.MULTILINE)
    assert re.search(rf"^Examples\n  {name} ", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= columns
    assert run(*command, "-h", env={"COLUMNS": str(columns)}).stdout == text


def test_examples_of_the_help_are_valid_command_lines(run):
    for command in COMMANDS:
        examples = re.search(r"^Examples\n((?:  .*\n)+)", run(*command, "--help").stdout, re.MULTILINE)[1]
        for example in examples.replace("\\\n", " ").splitlines():
            run(*example.split(), "--print-config")


@pytest.mark.parametrize("program", ["lora-train", "lora-merge", "lora-eval"])
def test_version_names_program_project_and_libtorch(run, root, program):
    project = re.search(r"project\(lora VERSION (\S+)", (root / "CMakeLists.txt").read_text())[1]
    text = run(program, "--version").stdout
    assert re.fullmatch(rf"{program} {re.escape(project)} \(LibTorch \d+\.\d+\.\d+\S*\)\n", text)


def test_a_command_prints_its_programs_version(run):
    assert run("lora-merge", "bake", "--version").stdout == run("lora-merge", "--version").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_no_arguments_show_a_short_usage_with_an_example(run, command):
    result = run(*command, code=2)
    assert result.stdout == ""
    assert result.stderr.startswith(f"usage: {' '.join(command)}")
    assert "example: " in result.stderr and "--help" in result.stderr
    assert len(result.stderr.splitlines()) == 3


def test_a_program_with_commands_lists_them(run):
    text = run("lora-merge", "--help").stdout
    assert "  bake " in text and "  inspect " in text
    assert run("lora-merge", code=2).stderr == text


def test_verbosity_moves_lines_on_stderr_only(run, train):
    normal = run(*train())
    quiet = run(*train("--quiet", "--overwrite"))
    assert normal.stderr and quiet.stderr == ""
    assert quiet.stdout == normal.stdout != ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_behind_stdout_is_reported(shell):
    result = shell("lora-train --print-config > /dev/full")
    assert result.returncode == 6 and "could not be written to stdout" in result.stderr


def test_a_closed_stdout_is_reported_and_never_a_file_of_the_program(shell, train, tmp_path):
    result = shell(f"{' '.join(map(str, train('--json')))} >&-")
    assert result.returncode == 6 and "could not be written to stdout" in result.stderr
    # The training itself is complete, and its results went into none of its files.
    assert (tmp_path / "run/report.json").exists()
    for file in (tmp_path / "run").glob("*"):
        assert not file.is_file() or b'"saved"' not in file.read_bytes()


def test_closed_standard_streams_do_not_crash(shell):
    assert shell("lora-train --help <&- >&- 2>&-").returncode == 6
    assert shell("lora-train --rnak 8 <&- >&- 2>&-").returncode == 2


def test_a_reader_that_leaves_ends_the_program_quietly(run, root):
    binary = os.path.join(os.environ.get("LORA_BIN", str(root / "build/release/bin")), "lora-train")
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([binary, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (result.returncode, result.stderr) == (6, "")


def test_the_command_line_document_is_what_the_programs_say(root):
    folder = os.environ.get("LORA_BIN", str(root / "build/release/bin"))
    result = subprocess.run([sys.executable, root / "scripts/make_cli_docs.py", "--check", "--bin", folder],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
