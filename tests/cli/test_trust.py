"""Model files are programs: what is refused before LibTorch sees it, and how a user says that it may run."""
import hashlib
import io
import struct
import zipfile
from typing import Tuple

import pytest
import torch

USAGE, FILE, UNTRUSTED = 2, 4, 9


class WritesWhenLoaded(torch.nn.Module):
    def __init__(self, path: str):
        super().__init__()
        self.path = path

    @torch.jit.export
    def __getstate__(self) -> Tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[str, bool]) -> None:
        self.path = state[0]
        self.training = state[1]
        torch.save(torch.zeros(1), state[0])


class RestoresItself(torch.nn.Module):
    """Code that runs at load and only calculates, as packed weights do."""

    def __init__(self):
        super().__init__()
        self.scale = torch.ones(1)

    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:
        return self.scale, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]) -> None:
        self.scale = state[0] * 2
        self.training = state[1]


class Model(torch.nn.Module):
    """A language model with another module in it."""

    def __init__(self, part: torch.nn.Module):
        super().__init__()
        self.embedding = torch.nn.Embedding(11, 8)
        self.inner = torch.nn.Linear(8, 8)
        self.head = torch.nn.Linear(8, 11)
        self.part = part

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(self.embedding(input_ids)))


class WritesWhenRun(Model):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(input_ids)
        torch.save(hidden, "written")
        return self.head(hidden)


def saved(module, path):
    torch.manual_seed(0)
    torch.jit.script(module.eval()).save(str(path))
    return path


@pytest.fixture
def victim(tmp_path):
    return tmp_path / "written"


@pytest.fixture
def hostile(tmp_path, victim):
    path = saved(Model(WritesWhenLoaded(str(victim))), tmp_path / "hostile.pt")
    victim.unlink(missing_ok=True)
    return path


@pytest.fixture
def targets(tmp_path):
    """targets(model, option, ...): a command that loads a model, with a user who trusts nothing yet."""
    def command(model, *options):
        return ["lora-train", "--model", model, "--list-targets", "--threads", 1, *options]

    return command


@pytest.fixture
def nobody(tmp_path):
    """The environment of a user with a configuration folder of their own."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def trust_list(tmp_path, text):
    path = tmp_path / "config/lora/trusted-models"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rewritten(source, out, change):
    """The archive with change(name below the root, content) instead of each content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name.split("/", 1)[1], old.read(name)))
    return out


def with_line(source, out, line):
    """The archive with a line of code before the first `return`."""
    def change(name, content):
        if not name.endswith(".py") or b"return" not in content:
            return content
        return content.replace(b"    return", b"    " + line.encode() + b"\n    return", 1)

    return rewritten(source, out, change)


@pytest.fixture
def harmless(tmp_path):
    return saved(Model(torch.nn.Identity()), tmp_path / "harmless.pt")


def test_code_that_writes_when_it_is_loaded_is_refused(run, refuses, hostile, victim, targets, nobody, tmp_path):
    torch.jit.load(str(hostile))
    assert victim.exists(), "LibTorch alone does not run it: this test shows nothing"
    victim.unlink()
    said = refuses(UNTRUSTED, ["hostile.pt", "code/__torch__/", ".py line ", "torch.save: reads or writes files",
                               "--trust-model", digest(hostile), str(tmp_path / "config/lora/trusted-models")],
                   *targets(hostile), env=nobody)
    assert not victim.exists(), said
    for command in (["lora-eval", "generate", "--model", hostile, "--prompt", "a"],
                    ["lora-merge", "verify", tmp_path, "--model", hostile]):
        refuses(UNTRUSTED, ["torch.save"], *command, env=nobody)
        assert not victim.exists()


def test_trust_for_one_run(run, hostile, victim, targets, nobody):
    result = run(*targets(hostile, "--trust-model"), env=nobody)
    assert "inner" in result.stdout
    assert digest(hostile) in result.stderr and "torch.save" in result.stderr
    assert victim.exists()   # it was trusted


def test_trust_by_the_list(run, refuses, hostile, victim, targets, nobody, tmp_path):
    listed = trust_list(tmp_path, f"# mine\n{digest(hostile).upper()}  hostile.pt\n")
    assert "inner" in run(*targets(hostile), env=nobody).stdout
    hostile.write_bytes(hostile.read_bytes() + b"\0")   # another file
    victim.unlink()
    refuses(FILE, ["hostile.pt"], *targets(hostile), env=nobody)   # and no archive any more
    listed.write_text(f"{'0' * 64}\nhostile.pt\n")
    saved(Model(WritesWhenLoaded(str(victim))), hostile)
    victim.unlink(missing_ok=True)
    refuses(USAGE, ["trusted-models", "line 2", "SHA-256"], *targets(hostile), env=nobody)
    listed.write_text("")
    refuses(UNTRUSTED, ["torch.save"], *targets(hostile), env=nobody)
    assert not victim.exists()


def test_the_list_may_be_in_the_home_folder(run, refuses, hostile, targets, tmp_path):
    trust_list(tmp_path, digest(hostile)).parent.parent.rename(tmp_path / ".config")
    run(*targets(hostile), env={"XDG_CONFIG_HOME": "", "HOME": str(tmp_path)})


def test_a_list_is_not_read_for_models_that_only_calculate(run, harmless, targets, nobody, tmp_path):
    trust_list(tmp_path, "nonsense")
    assert "trusted" not in run(*targets(harmless), env=nobody).stderr


def test_trust_is_no_matter_of_config_files(refuses, hostile, targets, nobody, tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"trust_model": true}')
    refuses(USAGE, ["trust_model"], *targets(hostile, "--config", config), env=nobody)


def test_code_that_writes_when_it_runs_is_refused(refuses, targets, nobody, tmp_path):
    model = saved(WritesWhenRun(torch.nn.Identity()), tmp_path / "runs.pt")
    refuses(UNTRUSTED, ["torch.save"], *targets(model), env=nobody, cwd=tmp_path)
    assert not (tmp_path / "written").exists()


def test_code_that_restores_itself_by_calculation_is_loaded(run, targets, nobody, tmp_path):
    model = saved(Model(RestoresItself()), tmp_path / "restores.pt")
    result = run(*targets(model), env=nobody)
    assert "inner" in result.stdout and "trusted" not in result.stderr


@pytest.mark.parametrize("line, part", [
    ("_9 = torch.from_file(\"/etc/passwd\", None, 8)", "torch.from_file: reads or writes files"),
    ("_9 = ops.image.read_file(\"/etc/passwd\")", "ops.image.read_file"),
    ("_9 = ops.quantized.linear_prepack(input_ids)", "ops.quantized.linear_prepack"),
    ("_9 = __torch__.torch.classes.rnn.CellParamsBase()", "__torch__.torch.classes.rnn.CellParamsBase"),
    ("_9 = (input_ids).set_(input_ids)", ".set_"),
    ("_9 = torch", "torch by itself"),
    ("print(\"hello\")", "print")])
def test_other_code_than_calculation_is_refused(refuses, harmless, targets, nobody, tmp_path, line, part):
    refuses(UNTRUSTED, [part, "code/__torch__/", " line "],
            *targets(with_line(harmless, tmp_path / "other.pt", line)), env=nobody)


@pytest.mark.parametrize("line", [
    "_9 = \"torch.save(x, 'written')\"",
    "_9 = 'ops.image.read_file'   # torch.save(input_ids, \"written\")",
    "_9 = \"\"\"\n    torch.save(input_ids)\n    t = torch\n    \"\"\""])
def test_texts_and_comments_are_no_code(run, harmless, targets, nobody, tmp_path, line):
    assert "inner" in run(*targets(with_line(harmless, tmp_path / "decoy.pt", line)), env=nobody).stdout


def test_a_custom_class_in_the_pickle_is_refused(refuses, harmless, targets, nobody, tmp_path):
    def change(name, content):
        if name != "data.pkl":
            return content
        return content.replace(b"c__torch__.torch.nn.modules.linear\nLinear\n",
                               b"c__torch__.torch.classes.quantized\nLinearPackedParamsBase\n")

    refuses(UNTRUSTED, ["data.pkl: __torch__.torch.classes.quantized.LinearPackedParamsBase"],
            *targets(rewritten(harmless, tmp_path / "custom.pt", change)), env=nobody)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_code_is_refused(refuses, harmless, targets, nobody, tmp_path, share):
    def cut(name, content):
        return content[:int(len(content) * share)] if name.endswith(".py") else content

    refuses(UNTRUSTED, ["cut.pt", "no class or function of the file"],
            *targets(rewritten(harmless, tmp_path / "cut.pt", cut)), env=nobody)


def test_code_that_cannot_be_read_is_a_damaged_file(refuses, harmless, targets, nobody, tmp_path):
    refuses(FILE, ["open.pt", "line ", "a text does not end"],
            *targets(with_line(harmless, tmp_path / "open.pt", "_9 = \"torch")), env=nobody)


def test_a_tower_of_brackets_does_not_overflow_the_stack(refuses, harmless, targets, nobody, tmp_path):
    tower = with_line(harmless, tmp_path / "tower.pt", "_9 = " + "(" * 200_000 + "1" + ")" * 200_000)
    refuses(FILE, ["tower.pt", "nested deeper"], *targets(tower), env=nobody)


def test_code_that_unpacks_to_much_is_refused(refuses, harmless, targets, nobody, tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(harmless) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
        new.writestr(f"{old.namelist()[0].split('/')[0]}/code/__torch__/much.py", b"\n" * (40 << 20))
    refuses(FILE, ["bomb.pt", "its code would be larger"], *targets(path), env=nobody)


def test_an_archive_that_readers_read_differently_is_refused(refuses, harmless, targets, nobody, tmp_path):
    """LibTorch takes the last end record; ours the one that ends where the file ends."""
    plain = rewritten(harmless, tmp_path / "plain.zip", lambda name, content: content)
    content = bytearray(plain.read_bytes())
    end = len(content) - 22
    size, start = struct.unpack_from("<II", content, end + 12)
    directory = bytearray(content[start:start + size])
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        info = next(each for each in archive.infolist() if each.filename.endswith("/data.pkl"))
    other = bytearray(content[info.header_offset:info.header_offset + 30 + len(info.filename) + info.file_size])
    other[-2:-1] = b"N"   # another pickle
    entry = directory.index(info.filename.encode()) - 46
    struct.pack_into("<I", directory, entry + 42, len(content))
    comment = other + directory
    comment += struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, struct.unpack_from("<H", content, end + 8)[0],
                           struct.unpack_from("<H", content, end + 10)[0], size, len(content) + len(other), 9)
    struct.pack_into("<H", content, end + 20, len(comment))
    path = tmp_path / "two.pt"
    path.write_bytes(content + comment)
    refuses(FILE, ["two.pt", "data.pkl"], *targets(path), env=nobody)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gpt2", "tiny_neox", "tiny_bert", "tiny_plain"])
def test_exports_need_no_trust(run, fixtures, targets, nobody, name):
    assert "trusted" not in run(*targets(fixtures / f"{name}.pt"), env=nobody).stderr


def test_real_models_need_no_trust(run, models, targets, nobody):
    for path in models.glob("*.pt"):
        assert "trusted" not in run(*targets(path), env=nobody).stderr
