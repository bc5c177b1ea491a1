#!/usr/bin/env python3
"""Checks that each layer of src/ builds on lower layers only, and keeps third-party code and disk writes where
they belong.

Usage: scripts/check_layers.py [PROJECT]

The order of the layers is that of the `foreach(layer ...)` in CMakeLists.txt. Prints "FILE:LINE: what is
wrong" for each violation; the exit code is then 1.
"""
import re
import sys
from pathlib import Path
from typing import Iterator, NamedTuple

TORCH = ("torch/", "ATen/", "c10/", "caffe2/")
WITHOUT_TORCH = ("base", "config", "tokenizer")
# What public headers keep to themselves: whoever includes them needs LibTorch alone.
PRIVATE = ("CLI/", "nlohmann/", "spdlog/", "fmt/", "sentencepiece")
# Headers that one layer alone may include: (layer, prefixes, reason).
CONFINED = (
    ("model", ("torch/csrc/jit/", "torch/script.h", "torch/jit.h"), "other layers know no TorchScript"),
    ("base", ("spdlog/", "fmt/"), "torch ships another fmt: log through lora/base/log.h"),
)
FORBIDDEN = {"torch/torch.h": "takes 20 s to compile: include single ATen headers"}
SINGLE_FILE = "CLI/"   # 10 s to compile

# Calls that change what is on a disk belong to one file, so that tests can put a failing disk in its place.
DISK_FILES = ("src/base/disk.cpp", "src/base/temporary_name.cpp")   # the second in signal handlers
DISK_CALL = re.compile(
    r"(?<![\w:])::(?:p?write|fsync|fdatasync|f?truncate|f?chmod|rename|link|unlink|mkdir|rmdir|symlink)\((?!STDERR)"
    r"|\bfs::(?:remove|remove_all|rename|create_\w+|copy|copy_file|resize_file|permissions)\("
    r"|\bfilesystem::(?:remove|remove_all|rename|create_\w+|copy|copy_file|resize_file|permissions)\("
    r'|\bofstream\b(?!.*"/proc/)')

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LAYER_CALL = re.compile(r"lora_layer\(\s*(\w+)([^)]*)\)")


class Violation(NamedTuple):
    file: Path
    line: int
    what: str


class Include(NamedTuple):
    file: Path
    line: int
    header: str
    quoted: bool
    layer: str       # of the including file
    public: bool     # the including file is a public header

    def violation(self, what: str) -> Violation:
        return Violation(self.file, self.line, f'includes "{self.header}": {what}')


def layer_order(project: Path) -> list[str]:
    """The layers, lowest first."""
    text = (project / "CMakeLists.txt").read_text()
    found = re.search(r"foreach\(layer ([\w\s]+)\)", text)
    if not found:
        sys.exit(f"{project}/CMakeLists.txt: no foreach(layer ...) that lists the layers")
    return found.group(1).split()


def source_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix in (".h", ".cpp", ".cu"))


def includes(project: Path, layer: str) -> Iterator[Include]:
    for folder, public in ((project / "src" / layer, False), (project / "include/lora" / layer, True)):
        for path in source_files(folder):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if match := INCLUDE.match(line):
                    quoted = match.group(1) == '"'
                    yield Include(path.relative_to(project), number, match.group(2), quoted, layer, public)


def target_layer(include: Include, layers: list[str]) -> str | None:
    """The layer that a header of this project belongs to; None for headers of others."""
    parts = include.header.split("/")
    if parts[0] == "lora" and len(parts) > 2 and parts[1] in layers:
        return parts[1]
    return parts[0] if include.quoted and len(parts) > 1 and parts[0] in layers else None


def check_own_header(include: Include, target: str, layers: list[str]) -> Iterator[Violation]:
    if layers.index(target) > layers.index(include.layer):
        yield include.violation(f"{include.layer} may not build on {target}, which is a layer above it")
    if include.public and not include.header.startswith("lora/"):
        yield include.violation("a public header may include public headers only")


def check_foreign_header(include: Include) -> Iterator[Violation]:
    header = include.header
    if include.quoted:
        yield include.violation("no header of a layer; write LAYER/FILE.h or lora/LAYER/FILE.h")
    if header.startswith(TORCH) and include.layer in WITHOUT_TORCH:
        yield include.violation(f"no torch in {include.layer}")
    if header.startswith(PRIVATE) and include.public:
        yield include.violation("public headers show no third-party library but torch")
    if header in FORBIDDEN:
        yield include.violation(FORBIDDEN[header])
    for layer, prefixes, reason in CONFINED:
        if header.startswith(prefixes) and (include.layer != layer or include.public):
            yield include.violation(f"only src/{layer} may ({reason})")


def check_include(include: Include, layers: list[str]) -> Iterator[Violation]:
    target = target_layer(include, layers)
    return check_own_header(include, target, layers) if target else check_foreign_header(include)


def check_single_file(found: list[Include]) -> Iterator[Violation]:
    users = [include for include in found if include.header.startswith(SINGLE_FILE)]
    for include in users[1:]:
        if include.file != users[0].file:
            yield include.violation(f"only one file may, and {users[0].file} does")


class Declaration(NamedTuple):
    line: int
    sources: list[str]
    depends: list[str]
    torch: bool


def declaration(project: Path, layer: str) -> Declaration | None:
    """What lora_layer(LAYER ...) says; None without such a call."""
    path = project / "src" / layer / "CMakeLists.txt"
    text = re.sub("#.*", "", path.read_text()) if path.exists() else ""
    for call in LAYER_CALL.finditer(text):
        if call.group(1) == layer:
            line = text.count("\n", 0, call.start()) + 1
            arguments = keyword_lists(call.group(2).split())
            sources, depends = arguments.get("SOURCES", []), arguments.get("DEPENDS", [])
            return Declaration(line, sources, depends, "TORCH" in arguments)
    return None


def keyword_lists(words: list[str]) -> dict[str, list[str]]:
    """CMake's arguments by the keyword before them: TORCH SOURCES a.cpp -> {TORCH: [], SOURCES: [a.cpp]}."""
    lists: dict[str, list[str]] = {}
    for word in words:
        if word.isupper():
            values = lists.setdefault(word, [])
        else:
            values.append(word)
    return lists


def check_cmake(project: Path, layer: str, found: list[Include], layers: list[str]) -> Iterator[Violation]:
    """DEPENDS names lower layers only, and all that the layer's headers and sources include."""
    declared = declaration(project, layer)
    if declared is None:
        return
    built = [each for each in found if each.file.suffix == ".h" or each.file.name in declared.sources]
    used = {target for each in built if (target := target_layer(each, layers))}
    wrong = []
    for name in declared.depends:
        if name not in layers[: layers.index(layer)]:
            wrong.append(f"DEPENDS {name}: not a layer below {layer}")
    for name in sorted(used - set(declared.depends) - set(layers[layers.index(layer):])):
        wrong.append(f"DEPENDS lacks {name}, whose headers {layer} includes")
    if declared.torch and layer in WITHOUT_TORCH:
        wrong.append(f"TORCH: no torch in {layer}")
    for what in wrong:
        yield Violation(Path("src") / layer / "CMakeLists.txt", declared.line, what)


def check_disk_calls(project: Path) -> Iterator[Violation]:
    for folder in ("src", "include"):
        for path in source_files(project / folder):
            name = path.relative_to(project)
            if str(name) in DISK_FILES:
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if match := DISK_CALL.search(line.split("//")[0]):
                    yield Violation(name, number, f"{match.group()} changes the disk: only {DISK_FILES[0]} may")


def check(project: Path) -> tuple[list[Violation], int]:
    """All violations, and the number of includes looked at."""
    layers = layer_order(project)
    found = {layer: list(includes(project, layer)) for layer in layers}
    everything = [include for group in found.values() for include in group]
    violations = [each for include in everything for each in check_include(include, layers)]
    violations += check_single_file(everything)
    violations += check_disk_calls(project)
    for layer, group in found.items():
        violations += check_cmake(project, layer, group, layers)
    for path in sorted((project / "src").iterdir()):
        if path.is_dir() and path.name not in layers:
            violations.append(Violation(path.relative_to(project), 0, "a folder of src/ that is no layer"))
    return violations, len(everything)


def main(arguments: list[str]) -> int:
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(__doc__)
        return 0 if arguments[0] in ("-h", "--help") else 2
    project = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    violations, count = check(project)
    for violation in violations:
        print(f"{violation.file}:{violation.line}: {violation.what}")
    print(f"{len(violations)} layer violations in {count} includes", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
