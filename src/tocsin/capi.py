"""The way in for C and Cython: where the header lies, and the capsule that it asks for.

`include/tocsin.h` is the interface and its contract, `capi.pxd` the same for `cimport`.
"""

from pathlib import Path

from tocsin._core.capi import C_API

__all__ = ["C_API", "get_include"]


def get_include() -> str:
    """The folder of `tocsin.h`, for an extension's `include_dirs`."""
    return str(Path(__file__).parent / "include")
