"""Which implementation of the scan exists in this build, is usable here, and is chosen.

The table is candidates_variants in simd/candidates.h. A refusal is a ValueError that names what
could be had instead.
"""

cdef extern from "simd/candidates.h" nogil:
    ctypedef struct candidates_variant:
        const char *name
        int (*usable)() noexcept
        int tables
        candidates_t find
        candidates_t find16
    const candidates_variant *candidates_variants
    const int CANDIDATES_VARIANTS

# Everything this project has, whatever this build or processor.
KNOWN = ("avx512vbmi", "avx2", "ssse3", "neon", "scalar", "dfa")


def built_variants():
    """Names of the variants compiled into this build, best first."""
    return tuple([candidates_variants[i].name.decode() for i in range(CANDIDATES_VARIANTS)])


def usable_variants():
    """Names of the variants this processor and system can run, best first."""
    return tuple([candidates_variants[i].name.decode() for i in range(CANDIDATES_VARIANTS)
                  if candidates_variants[i].usable()])


cdef int choose_variant(object forced, variant_t *chosen) except -1:
    cdef int i
    if forced is not None and forced not in KNOWN:
        raise ValueError(f"no variant {forced!r}: known are {', '.join(KNOWN)}")
    for i in range(CANDIDATES_VARIANTS):
        if not candidates_variants[i].usable():
            continue
        if forced is None or forced == candidates_variants[i].name.decode():
            chosen.name = candidates_variants[i].name
            chosen.tables = candidates_variants[i].tables
            chosen.find = candidates_variants[i].find
            chosen.find16 = candidates_variants[i].find16
            chosen.streams = chosen.name != b"dfa"
            return 0
    usable = ", ".join(usable_variants())
    raise ValueError(f"variant {forced!r} is not usable here: usable are {usable}")
