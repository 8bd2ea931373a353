"""tocsin's C interface for Cython: `from tocsin.capi cimport tocsin_api, tocsin_import`.

The contract (GIL, lifetimes, threads, versions) is in include/tocsin.h, whose folder, which is
tocsin.get_include(), must be among an extension's include_dirs. Every module calls tocsin_import()
for itself; nothing is imported by the cimport.
"""

from tocsin._core.capi cimport (
    TOCSIN_ABI, TOCSIN_BUSY, TOCSIN_NO_MEMORY, tocsin_api, tocsin_automaton, tocsin_import,
    tocsin_match, tocsin_scanner,
)
