"""Which implementation of the scan exists in this build, is usable here, and is chosen.

The table is candidates_variants in simd/candidates.h. A refusal is a ValueError that names what
could be had instead.
"""

cdef extern from "simd/candidates.h" nogil:
    ctypedef struct candidates_variant:
        const char *name
        int (*usable)() noexcept
        const candidates_look *looks
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


def looks_for(size_t patterns):
    """(tables, buckets, reach) of what the variants of this build take for so many patterns."""
    cdef const candidates_look *look
    cdef variant_t variant
    found = set()
    for i in range(CANDIDATES_VARIANTS):
        variant.looks = candidates_variants[i].looks
        look = look_for(&variant, patterns)
        if look != NULL:
            found.add((look.tables, look.buckets, look.reach))
    return sorted(found)


cdef const candidates_look *look_for(const variant_t *variant, size_t patterns) noexcept nogil:
    cdef const candidates_look *look = NULL
    cdef int k
    for k in range(CANDIDATES_LOOKS if patterns else 0):
        if variant.looks[k].find != NULL and variant.looks[k].many <= patterns:
            look = &variant.looks[k]
    return look


cdef int choose_variant(object forced, variant_t *chosen) except -1:
    cdef int i
    if forced is not None and forced not in KNOWN:
        raise ValueError(f"no variant {forced!r}: known are {', '.join(KNOWN)}")
    for i in range(CANDIDATES_VARIANTS):
        if not candidates_variants[i].usable():
            continue
        if forced is None or forced == candidates_variants[i].name.decode():
            chosen.name = candidates_variants[i].name
            chosen.looks = candidates_variants[i].looks
            chosen.streams = chosen.name != b"dfa"
            return 0
    usable = ", ".join(usable_variants())
    raise ValueError(f"variant {forced!r} is not usable here: usable are {usable}")
