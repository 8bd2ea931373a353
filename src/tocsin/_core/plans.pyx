"""Plans of windows made ahead, when a package is built.

Planning some thousand literals takes a tenth of a second, and doing it with care several; a set of
patterns that is known beforehand can be planned then. The blob: the look (tables, buckets, reach),
check sum of the patterns, tables, windows. It is used for those patterns only, where a variant has
that look.
"""

import zlib

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc

from tocsin._core.variant import looks_for
from tocsin._core.variant cimport candidates_look
from tocsin._core.windows cimport TABLE_BYTES, plan_windows

cdef enum:
    PLAN_HEAD = 7
    # There is time when a package is built.
    TURNS_AHEAD = 4


def plan_ahead(patterns, look, int turns=TURNS_AHEAD):
    """The plan of `patterns` for one of variant.looks_for(len(patterns))."""
    cdef bytes joined = b"".join(patterns)
    cdef size_t count = len(patterns), i, place = 0
    cdef size_t *ends = <size_t *> malloc((count + 1) * sizeof(size_t))
    cdef uint32_t *window = <uint32_t *> calloc(count + 1, sizeof(uint32_t))
    cdef uint8_t *tables = <uint8_t *> calloc(TABLE_BYTES, 1)
    cdef candidates_look wanted
    cdef int status = -1
    try:
        if look not in looks_for(len(patterns)):
            raise ValueError(f"no variant looks at {len(patterns)} patterns in this way: {look}")
        wanted.tables, wanted.buckets, wanted.reach = look
        if ends != NULL and window != NULL and tables != NULL:
            for i in range(count):
                place += len(patterns[i])
                ends[i] = place
            status = plan_windows(<const uint8_t *> joined, ends, count, False, &wanted,
                                  turns, window, tables)
        if status != 0:
            raise MemoryError(f"no room for the plan of {count} patterns")
        return (
            bytes(look) + patterns_sum(patterns)
            + (<char *> tables)[:TABLE_BYTES] + bytes([window[i] for i in range(count)])
        )
    finally:
        free(ends)
        free(window)
        free(tables)


def patterns_sum(patterns):
    """Four bytes that tell one set of patterns from another."""
    return zlib.crc32(b"\0".join(patterns)).to_bytes(4, "little")


cdef bint read_plan(object plan, object patterns, const candidates_look *look,
                    planned_t *out) except -1:
    cdef bytes blob = plan
    if (
        len(blob) != PLAN_HEAD + TABLE_BYTES + len(patterns)
        or blob[3:PLAN_HEAD] != patterns_sum(patterns)
    ):
        raise ValueError("the plan was made for other patterns")
    if any(at >= len(text) for at, text in zip(blob[PLAN_HEAD + TABLE_BYTES:], patterns)):
        raise ValueError("damaged plan: a window outside its pattern")
    if look == NULL or (blob[0], blob[1], blob[2]) != (look.tables, look.buckets, look.reach):
        return False
    out.tables = <const uint8_t *> blob + PLAN_HEAD
    out.windows = out.tables + TABLE_BYTES
    return True
