"""Builds the Cython core: every module of ``tocsin._core`` is an extension of its own.

TOCSIN_BUILD=release (default) | debug (bounds checks, assertions) | sanitize (address and
undefined-behaviour sanitizers). An unknown value is an error: a build that silently ignored it
would be tested as something it is not. There is no pure-Python fall-back: without a compiler the
build fails.
"""

import os
import subprocess
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

CORE = Path("src/tocsin/_core")
PUBLIC = Path("src/tocsin/include")
BUILD = os.environ.get("TOCSIN_BUILD", "release")
FLAGS = {
    "release": ["-O3", "-fno-strict-aliasing"],
    "debug": ["-O1", "-g", "-UNDEBUG", "-DTOCSIN_DEBUG"],
    "sanitize": [
        "-O1", "-g", "-UNDEBUG", "-DTOCSIN_DEBUG", "-fno-omit-frame-pointer",
        "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
    ],
}
if BUILD not in FLAGS:
    raise SystemExit(f"TOCSIN_BUILD={BUILD!r}: expected one of {', '.join(FLAGS)}")
CHECKED = BUILD != "release"

extensions = [
    Extension(
        f"tocsin._core.{source.stem}",
        [str(source)],
        include_dirs=[str(CORE), str(PUBLIC)],
        depends=[str(header) for folder in (CORE, PUBLIC) for header in folder.rglob("*.h")],
        extra_compile_args=[*FLAGS[BUILD], "-Wall", "-Wno-unused-function", "-Wno-sign-compare"],
        extra_link_args=["-fsanitize=address,undefined"] if BUILD == "sanitize" else [],
    )
    for source in sorted(CORE.glob("*.pyx"))
]
if not extensions:
    raise SystemExit(f"no Cython sources under {CORE}: is the source tree complete?")


class BuildRules(build_py):
    """Checks the built-in rules and writes their cache beside them in the built package."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        sys.path.insert(0, "src")
        from tocsin.rules import compiled

        source = Path("src/tocsin/rules/builtin")
        target = Path(self.build_lib) / "tocsin/rules/builtin"
        compiled.write(target, *compiled.split(source), plans=False)


class BuildCore(build_ext):
    """Builds the core, and with it plans the search for the built-in rules' literals."""

    def run(self):
        super().run()
        # A sanitizer build cannot be imported by a Python that is none; its plans are made later.
        if self.inplace or self.editable_mode or BUILD == "sanitize":
            return
        package = Path(self.build_lib).resolve()
        subprocess.run(
            [sys.executable, "-m", "tocsin.rules.compiled", str(package / "tocsin/rules/builtin")],
            env={**os.environ, "PYTHONPATH": str(package)},
            cwd=package,
            check=True,
            stdout=subprocess.DEVNULL,
        )


setup(
    cmdclass={"build_py": BuildRules, "build_ext": BuildCore},
    # Every way of building compiles on all cores, `pip install` among them.
    options={"build_ext": {"parallel": os.cpu_count()}},
    ext_modules=cythonize(
        extensions,
        include_path=["src"],
        build_dir=f"build/cython-{BUILD}",
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": CHECKED,
            "embedsignature": True,
            "freethreading_compatible": True,
        },
    )
)
