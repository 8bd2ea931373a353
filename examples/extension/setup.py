"""Two extensions on tocsin's C interface: `pip install .`, or `setup.py build_ext --inplace`."""

from Cython.Build import cythonize
from setuptools import Extension, setup

import tocsin

INCLUDE = [tocsin.get_include()]

setup(
    name="tocsin-extension-example",
    version="1",
    ext_modules=[
        Extension("tap", ["tap.c"], include_dirs=INCLUDE),
        *cythonize([Extension("lines", ["lines.pyx"], include_dirs=INCLUDE)], language_level=3),
    ],
)
