"""Kernels to boot: found in the package mirror, unpacked (never installed), kept for the next run.

Everything lies in one directory outside the tree. What the mirror offers changes from month to
month, so the newest fitting package is taken by looking, not by name; without a mirror, whatever
an earlier run has left is used. This module starts no guest.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# Smallest first: the cloud flavour has all the lab needs in a third of the size.
FLAVOURS = ("cloud-amd64", "amd64")
ZEROS = bytes(4)


class Missing(Exception):
    """Something the lab needs and this machine cannot give."""


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    path = Path(base) / "tocsin-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


def run(*command: str | Path, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, check=True, text=True, stdin=subprocess.DEVNULL, capture_output=True
        )
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        # Compilers and make say first what is wrong, other programs last.
        told = [line for line in said if re.search(r" error: |not found|[Nn]o such", line)]
        told += said[-1:] or [str(error)]
        raise Missing(f"{command[0]} failed: {told[0]}") from None
    return done.stdout


def _depends(package: str) -> list[str]:
    return re.findall(r"^ +Depends: ([a-z0-9.+-]+)$", run("apt-cache", "depends", package), re.M)


def version_key(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def offered(wanted: str = "") -> list[str]:
    """Kernel packages of the mirror with `wanted` in their names, the best one first."""
    out = []
    for flavour in FLAVOURS:
        found = run("apt-cache", "search", "--names-only", f"^linux-image-[0-9].*-{flavour}$")
        names = [line.split()[0] for line in found.splitlines()]
        if flavour == "amd64":
            names = [n for n in names if not re.search(r"-(cloud|rt)-amd64$", n)]
        names = [n for n in names if wanted in n]
        # The one the distribution itself would install is surely there; lists may name others
        # that the mirror has already dropped.
        try:
            usual = [n for n in _depends(f"linux-image-{flavour}") if n in names]
        except Missing:
            usual = []
        out += usual + [n for n in sorted(names, key=version_key, reverse=True) if n not in usual]
    return out


def _unpack(packages: list[str], into: Path) -> None:
    """Download and unpack; `into` appears only when whole."""
    with tempfile.TemporaryDirectory(dir=cache()) as work:
        tree = Path(work) / "tree"
        for package in packages:
            run("apt-get", "download", "-q", package, cwd=Path(work))
        for deb in Path(work).glob("*.deb"):
            run("dpkg-deb", "-x", deb, tree)
        tree.rename(into)


class Kernel:
    """One unpacked kernel: its image, its modules and, if they can be had, its headers."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.image = next(tree.glob("boot/vmlinuz-*"))
        self.release = self.image.name.removeprefix("vmlinuz-")
        modules = tree / "lib" / "modules" / self.release
        if not modules.is_dir():
            modules = tree / "usr" / modules.relative_to(tree)
        self.files = {
            path.name.partition(".")[0].replace("-", "_"): path for path in modules.rglob("*.ko*")
        }
        builtin = (modules / "modules.builtin").read_text().split()
        self.builtin = {Path(name).stem.replace("-", "_") for name in builtin}

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(version_key(self.release)[:2])

    def module(self, name: str) -> bytes:
        path = self.files[name]
        data = path.read_bytes()
        return lzma.decompress(data) if path.suffix == ".xz" else data

    def with_needed(self, names: list[str]) -> dict[str, bytes]:
        """These modules and those they need, in the order of loading, without built-in ones."""
        out: dict[str, bytes] = {}

        def add(name: str) -> None:
            name = name.replace("-", "_")
            if name in out or name in self.builtin:
                return
            if name not in self.files:
                raise Missing(f"kernel {self.release} has no module {name}")
            data = self.module(name)
            # depmod has not run on an unpacked package, but each module says what it needs.
            needed = re.search(rb"\0depends=([^\0]*)\0", data)
            for other in needed[1].decode().split(",") if needed else ():
                if other:
                    add(other)
            out[name] = data

        for name in names:
            add(name)
        return out

    def build(self, source: Path) -> bytes:
        """An out-of-tree module, compiled; raises Missing where that cannot be done."""
        headers = self.tree.with_name(self.tree.name + "-headers")
        first = f"linux-headers-{self.release}"
        if not headers.is_dir():
            needed = [p for p in _depends(first) if p.startswith(("linux-headers", "linux-kbuild"))]
            _unpack([first, *needed], headers)
        tree = headers / "usr" / "src" / first
        # The package expects to lie under /usr/src.
        makefile = tree / "Makefile"
        text = makefile.read_text()
        makefile.write_text(re.sub(r"^include /usr/src", f"include {headers}/usr/src", text))
        with tempfile.TemporaryDirectory() as work:
            shutil.copy(source, work)
            (Path(work) / "Makefile").write_text(f"obj-m := {source.stem}.o\n")
            compiler = os.environ.get("CC", "cc")
            # Reports name the source file; where it lay is nobody's business.
            flags = f"KCFLAGS=-ffile-prefix-map={work}/="
            # Type information for tracers would need one more program, and nobody traces here.
            spare = "CONFIG_DEBUG_INFO_BTF_MODULES="
            run("make", "-s", "-C", tree, f"M={work}", f"CC={compiler}", flags, spare, "modules")
            return (Path(work) / f"{source.stem}.ko").read_bytes()


def find(wanted: str = "") -> Kernel:
    """The kernel to boot: an unpacked one if it fits, else one from the mirror."""
    home = cache()
    here = [p for p in home.glob("linux-image-*") if not p.name.endswith("-headers")]
    problems = []
    try:
        names = offered(wanted)
    except Missing as error:
        names, problems = [], [str(error)]
    # Only the first few: a mirror that refuses these refuses all.
    for name in names[:4]:
        try:
            if not (home / name).is_dir():
                _unpack([name], home / name)
            return Kernel(home / name)
        except Missing as error:
            problems.append(f"{name}: {error}")
    for path in sorted(here, key=lambda p: version_key(p.name), reverse=True):
        if wanted in path.name:
            return Kernel(path)
    if not problems:
        problems = ["the package lists offer none (apt-get update?)"]
    raise Missing(f"no kernel package {wanted or 'at all'}: {'; '.join(problems)}")


def archive(files: dict[str, bytes]) -> bytes:
    """An initial file system of these files ("newc" cpio), their directories made as needed."""
    out = bytearray()

    def entry(name: str, mode: int, data: bytes) -> None:
        header = [len(out) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out.extend(b"070701" + b"".join(b"%08X" % field for field in header))
        for part in (name.encode() + b"\0", data):
            out.extend(part)
            out.extend(ZEROS[: -len(out) % 4])

    made: set[str] = set()
    for name, data in files.items():
        parents = name.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            parent = "/".join(parents[:depth])
            if parent not in made:
                made.add(parent)
                entry(parent, 0o040755, b"")
        entry(name, 0o100755, data)
    entry("TRAILER!!!", 0, b"")
    return bytes(out)
