"""Which implementation of the scan exists in this build, is usable here, and is chosen.

A refusal is a ValueError that names what could be had instead.
"""

KNOWN = ("avx512vbmi", "avx2", "ssse3", "neon", "scalar", "dfa")


def usable_variants():
    """Names of the variants this processor and system can run, best first."""
    return ("dfa",)


cdef str chosen_variant(object forced):
    cdef tuple usable = usable_variants()
    if forced is None:
        return usable[0]
    if forced not in KNOWN:
        raise ValueError(f"no variant {forced!r}: known are {', '.join(KNOWN)}")
    if forced not in usable:
        raise ValueError(f"variant {forced!r} is not usable here: usable are {', '.join(usable)}")
    return forced
