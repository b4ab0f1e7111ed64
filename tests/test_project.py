"""The house keeps its own rules: style, types, layers, sizes, packaging, and a quick --help."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benito import errors

ROOT = Path(__file__).resolve().parent.parent
CODE = ("benito", "domains", "netplan", "cli")
SOURCES = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
BIN = Path(sys.executable).parent


def passes(*argv: str | Path) -> str:
    done = subprocess.run([str(word) for word in argv], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ruff_has_nothing_to_say() -> None:
    passes(BIN / "ruff", "check", ".")


def test_the_code_is_formatted() -> None:
    passes(BIN / "ruff", "format", "--check", ".")


def test_mypy_strict_has_nothing_to_say() -> None:
    passes(BIN / "mypy")


def test_no_import_runs_against_the_layers() -> None:
    passes(BIN / "lint-imports")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines_and_a_function_60(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 60] == []


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys; sys.argv = ['benito', '--help']\n"
        "from benito_cli.main import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "heavy = {'libvirt', 'pyroute2', 'networkx', 'lxml', 'pydantic', 'sqlite3'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    assert "HEAVY []" in passes(sys.executable, "-c", script)


def test_every_verb_explains_itself() -> None:
    listed = passes(BIN / "benito", "--help").partition("Commands:")[2]
    verbs = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert {"plan", "up", "node", "image", "template", "topdl"} <= set(verbs)
    for verb in verbs:
        assert "Usage" in passes(BIN / "benito", verb, "--help")


def test_only_the_wiring_names_the_drivers() -> None:
    allowed = ROOT / "cli" / "benito_cli" / "wiring.py"
    for path in SOURCES:
        if path.is_relative_to(ROOT / "cli") and path != allowed:
            text = path.read_text()
            assert "benito_domains" not in text, path
            assert "benito_netplan" not in text, path


def test_a_wheel_holds_the_four_packages_and_their_data(tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
    passes(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path, ".")
    (wheel,) = tmp_path.glob("benito-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"benito", "benito_cli", "benito_domains", "benito_netplan"}
    data = [path for folder in CODE for path in (ROOT / folder).rglob("*") if path.suffix in {".tcl", ".sh", ".xml"}]
    assert data
    for path in data:
        assert any(name.endswith(f"/{path.name}") for name in names), path


def error_classes() -> list[type[errors.BenitoError]]:
    found = [errors.BenitoError]
    for one in found:
        found.extend(one.__subclasses__())
    return found


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_stands_in_the_drawn_tree(error: type[errors.BenitoError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")
    assert error.__doc__


def test_folders_say_what_lives_in_them() -> None:
    for folder in ("domains", "netplan", "cli", "tests", "examples", "scripts", "docs", "vagrant"):
        assert (ROOT / folder / "README.md").exists(), folder


def test_the_files_that_every_reader_expects_are_there() -> None:
    documents = ("architecture.md", "glossary.md", "decisions.md")
    for name in ("README.md", "CHANGELOG.md", "LICENSE", *(f"docs/{document}" for document in documents)):
        assert (ROOT / name).read_text().strip(), name
