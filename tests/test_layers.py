"""The plan of the house: who may import whom, read from the sources themselves."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "tocsin"

# The longest name that fits decides. Each layer imports from itself and from lower ones.
# `wire` stands at the bottom although a sink uses it: it turns a plain value into a plain dict,
# imports nothing of tocsin, and Incident.to_dict calls it.
LAYERS = {
    "tocsin.errors": 0, "tocsin.incident": 0, "tocsin.limits": 0, "tocsin.wire": 0,
    "tocsin._core": 1,
    "tocsin.rules": 2,
    "tocsin.classify": 3,
    "tocsin.scanner": 4, "tocsin.examples": 4, "tocsin.capi": 4, "tocsin": 4,
    "tocsin.sources": 5, "tocsin.sinks": 5, "tocsin.watch": 5,
    "tocsin.aio": 5, "tocsin.syslogng": 5,
    "tocsin.cli": 6, "tocsin.__main__": 6,
}  # fmt: skip

# Longer files say at their head why they are.
LONG = 400
REASON = "Long because"

CIMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<package>[\w.]+)[ \t]+c?import[ \t]+"
    r"(?:\((?P<many>[^)]*)\)|(?P<one>[^\n(]+))|c?import[ \t]+(?P<plain>[\w., \t]+))",
    re.M,
)


def module_of(path):
    """`src/tocsin/_core/trie.pxd` and `trie.pyx` are both tocsin._core.trie."""
    parts = ["tocsin", *path.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted(
    path
    for path in SOURCE.rglob("*")
    if path.suffix in (".py", ".pyx", ".pxd", ".h") and "__pycache__" not in path.parts
)
MODULES = {module_of(path) for path in FILES if path.suffix != ".h"}


def layer_of(module):
    name = module
    while name not in LAYERS or (name == "tocsin" and module != name):
        # Only the package itself is the public face; a new folder says where it stands.
        assert "." in name, f"{module} has no layer: give it one in LAYERS"
        name = name.rpartition(".")[0]
    return LAYERS[name]


def target(package, name):
    """What `from package import name` imports: a module of that name, or else the package."""
    return f"{package}.{name}" if f"{package}.{name}" in MODULES else package


def imports_of_python(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: relative import"
            yield from (target(node.module, alias.name) for alias in node.names)


def without_comments(text):
    return re.sub(r"#[^\n]*", "", text)


def imports_of_cython(path):
    text = without_comments(re.sub(r'"""[\s\S]*?"""', "", path.read_text()))
    for match in CIMPORT.finditer(text):
        if match["package"]:
            for name in (match["many"] or match["one"]).replace("\\\n", " ").split(","):
                if name.strip():
                    yield target(match["package"], name.split()[0])
        else:
            yield from (name.split()[0] for name in match["plain"].split(","))


def read_imports():
    edges = {module: set() for module in MODULES}
    for path in FILES:
        if path.suffix == ".h":
            continue
        module = module_of(path)
        read = imports_of_python if path.suffix == ".py" else imports_of_cython
        edges[module] |= {
            name for name in read(path) if name.split(".")[0] == "tocsin" and name != module
        }
    return edges


EDGES = read_imports()


def test_the_reader_sees_imports_of_every_kind():
    assert "tocsin._core.grouper" in EDGES["tocsin._core.pipeline"]  # from ... cimport, in a .pyx
    assert "tocsin._core.types" in EDGES["tocsin._core.grow"]  # in a .pxd
    assert "tocsin._core.shapes" in EDGES["tocsin._core.grouper"]  # over several lines
    assert "tocsin._core.pipeline" in EDGES["tocsin.scanner"]  # Python
    assert "tocsin.wire" in EDGES["tocsin.incident"]  # inside a function
    assert {layer_of(module) for module in MODULES} == set(LAYERS.values())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_is_imported_from_above(module):
    unknown = EDGES[module] - MODULES
    assert not unknown, f"imports {unknown}, which the source tree does not have"
    upward = {name for name in EDGES[module] if layer_of(name) > layer_of(module)}
    assert not upward, f"layer {layer_of(module)} imports from above: {upward}"


def test_no_import_goes_in_a_circle():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for name in sorted(EDGES[module]):
            visit(name)
        path.pop()
        done.add(module)

    for module in sorted(MODULES):
        visit(module)
    assert done == MODULES


def test_the_wire_form_imports_nothing_of_tocsin():
    assert EDGES["tocsin.wire"] == set()


def test_the_command_line_never_touches_the_core():
    above = [module for module in MODULES if layer_of(module) == LAYERS["tocsin.cli"]]
    assert len(above) > 5
    for module in above:
        core = {name for name in EDGES[module] if name.startswith("tocsin._core")}
        assert not core, f"{module} imports {core}"


@pytest.mark.parametrize("suffix", [".pyx", ".pxd"])
def test_no_cython_file_is_pasted_into_another(suffix):
    files = [path for path in FILES if path.suffix == suffix]
    assert files
    for path in files:
        pasted = re.search(r"^[ \t]*include[ \t]+['\"].*", path.read_text(), re.M)
        assert not pasted, f"{path.name}: {pasted[0].strip()}"


def test_c_headers_know_nothing_of_python():
    headers = [path for path in FILES if path.suffix == ".h"]
    assert headers
    for path in headers:
        assert not re.search(r"#\s*include\s*[<\"]Python\.h", path.read_text()), path.name


def head_of(path):
    """The comment or docstring a file begins with."""
    text = path.read_text()
    quotes = {".h": ("/*", "*/")}.get(path.suffix, ('"""', '"""'))
    begin = text.find(quotes[0])
    assert begin >= 0, f"{path.name} has no head"
    return text[begin : text.find(quotes[1], begin + 3)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_long_file_says_why(path):
    lines = path.read_text().count("\n")
    if lines > LONG:
        assert REASON in head_of(path), (
            f'{path.name} has {lines} lines; over {LONG} its head says "{REASON} ..."'
        )
