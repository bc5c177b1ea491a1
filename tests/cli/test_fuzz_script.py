"""scripts/fuzz.sh notices what a fuzzer finds: with programs in place of compilers and fuzzers."""
import json
import os
import subprocess

import pytest

DRIVER = """[ "$1" = --write-seeds ] && mkdir -p "$2/good" "$2/bad"
exit 0"""
GOOD = "echo 'stat::number_of_executed_units: 1234'"
BAD = """echo '==1==ERROR: AddressSanitizer: heap-buffer-overflow'
echo 'stat::number_of_executed_units: 7'
exit 77"""


@pytest.fixture
def fuzz(root, tmp_path):
    """fuzz(target, ...) -> the script's result and its figures by target."""
    tools, build = tmp_path / "tools", tmp_path / "build"
    for path, text in ((tools / "cmake", "exit 0"), (tools / "clang++", "exit 0"), (build / "bin/fuzz_driver", DRIVER),
                       (build / "bin/fuzz_good", GOOD), (build / "bin/fuzz_bad", BAD)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(*targets):
        result = subprocess.run([root / "scripts/fuzz.sh", "1", *targets], capture_output=True, text=True,
                                env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "LORA_FUZZ_BUILD": str(build)})
        lines = map(json.loads, (build / "figures.jsonl").read_text().splitlines())
        return result, {line.pop("target"): line for line in lines}

    return run


def test_a_fuzzer_that_fails_is_noticed_and_the_others_run(fuzz):
    result, figures = fuzz()
    assert result.returncode == 1 and "error: bad: see" in result.stderr and "AddressSanitizer" in result.stdout
    assert figures == {"good": {"seconds": 1, "executions": 1234, "findings": 0},
                       "bad": {"seconds": 1, "executions": 7, "findings": 1}}


def test_fuzzers_that_find_nothing(fuzz):
    result, figures = fuzz("good")
    assert result.returncode == 0 and figures["good"]["executions"] == 1234
