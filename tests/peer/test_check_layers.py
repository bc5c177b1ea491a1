"""scripts/check_layers.py: silent on this project, loud on every kind of planted violation."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/check_layers.py"


def run(project):
    return subprocess.run([sys.executable, SCRIPT, project], capture_output=True, text=True)


@pytest.fixture
def project(tmp_path):
    """A small project without violations; returns a function that writes one more file into it."""

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return tmp_path

    write("CMakeLists.txt", "foreach(layer base config model programs)\n  add_subdirectory(src/${layer})\n")
    write("include/lora/base/error.h", "#include <string>\n")
    write("src/base/json.h", "#include <nlohmann/json.hpp>\n")
    write("src/base/CMakeLists.txt", "lora_layer(base SOURCES error.cpp PRIVATE spdlog::spdlog)\n")
    write("src/config/flags.cpp", '#include "base/json.h"\n#include <CLI/CLI.hpp>\n')
    write("src/config/CMakeLists.txt", "lora_layer(config\n  SOURCES flags.cpp\n  DEPENDS base)\n")
    write("src/model/load.cpp", '#include <torch/csrc/jit/ir/ir.h>\n#include "lora/base/error.h"\n')
    write("src/model/CMakeLists.txt", "lora_layer(model TORCH SOURCES load.cpp DEPENDS base PRIVATE x)\n")
    return write


def test_this_project_keeps_its_layers():
    result = run(ROOT)
    assert result.returncode == 0, result.stdout
    assert int(re.search(r"in (\d+) includes", result.stderr).group(1)) > 500


def test_the_map_in_contributing_is_the_order_of_the_build():
    listed = re.search(r"foreach\(layer ([^)]+)\)", (ROOT / "CMakeLists.txt").read_text()).group(1).split()
    assert " -> ".join(reversed(listed)) in (ROOT / "CONTRIBUTING.md").read_text().splitlines()


@pytest.mark.parametrize("path, text", [
    ("src/base/note.txt", '#include "programs/run.h"'),
    ("src/base/commented.cpp", '// #include "programs/run.h"'),
    ("src/model/main_outside_the_library.cpp", '#include "config/flags.h"'),
    ("src/config/CMakeLists.txt", "lora_layer(config SOURCES a.cpp\n  DEPENDS\n  base  # alone\n)"),
    ("src/base/disk.cpp", "int unlink(const Path& path) { return ::unlink(path.c_str()); }"),
    ("src/model/a.cpp", 'disk::unlink(path); ::open(path, O_RDONLY); ::write(STDERR_FILENO, text, 1);'),
    ("src/base/memory.cpp", 'std::ofstream out("/proc/self/clear_refs");'),
])
def test_what_is_allowed_is_not_reported(project, path, text):
    result = run(project(path, text))
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("path, text, said", [
    ("src/base/a.cpp", '\n#include "config/a.h"', 'src/base/a.cpp:2: includes "config/a.h": base may not'),
    ("src/config/a.cpp", '#include "lora/model/program.h"', "config may not build on model"),
    ("include/lora/config/a.h", "#include <lora/model/program.h>", "config may not build on model"),
    ("src/model/a.cpp", '#include "programs/run.h"', "model may not build on programs"),
    ("src/config/a.cpp", "#  include <ATen/ATen.h>", "no torch in config"),
    ("include/lora/base/a.h", "#include <c10/core/Device.h>", "no torch in base"),
    ("src/programs/a.cpp", "#include <torch/csrc/jit/ir/ir.h>", "only src/model may"),
    ("src/programs/a.cpp", "#include <torch/script.h>", "only src/model may"),
    ("include/lora/model/a.h", "#include <torch/csrc/jit/api/module.h>", "only src/model may"),
    ("src/model/a.cpp", "#include <torch/torch.h>", "20 s to compile"),
    ("src/model/a.cpp", "#include <spdlog/spdlog.h>", "only src/base may"),
    ("include/lora/config/a.h", "#include <nlohmann/json_fwd.hpp>", "public headers show no third-party"),
    ("include/lora/config/a.h", "#include <sentencepiece_processor.h>", "public headers show no third-party"),
    ("include/lora/base/a.h", '#include "base/json.h"', "public headers only"),
    ("src/programs/a.cpp", "#include <CLI/App.hpp>", "only one file may, and src/config/flags.cpp does"),
    ("src/model/a.cpp", '#include "load.h"', "no header of a layer"),
    ("src/base/CMakeLists.txt", "lora_layer(base DEPENDS config)", "DEPENDS config: not a layer below"),
    ("src/config/CMakeLists.txt", "lora_layer(config\n  SOURCES flags.cpp)", "DEPENDS lacks base"),
    ("src/config/CMakeLists.txt", "lora_layer(config TORCH DEPENDS base)", "TORCH: no torch in config"),
    ("src/extra/a.cpp", "", "that is no layer"),
    ("src/model/a.cpp", "\n::unlink(path);", "src/model/a.cpp:2: ::unlink( changes the disk: only src/base/disk.cpp"),
    ("src/model/a.cpp", "if (::pwrite(file, text, 1, 0) < 0) fail();", "::pwrite( changes the disk"),
    ("src/model/a.cpp", "std::filesystem::remove_all(folder);", "filesystem::remove_all( changes the disk"),
    ("src/model/a.cpp", "fs::rename(a, b);", "fs::rename( changes the disk"),
    ("src/model/a.cpp", "std::ofstream out(path);", "ofstream changes the disk"),
])
def test_a_planted_violation_is_named(project, path, text, said):
    result = run(project(path, text))
    assert result.returncode == 1
    assert said in result.stdout
    assert len(result.stdout.splitlines()) == 1
