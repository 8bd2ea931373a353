"""The public C header as Cython sees it; `tocsin.capi` is the name to cimport it by."""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "tocsin.h":
    enum:
        TOCSIN_ABI
        TOCSIN_NO_MEMORY
        TOCSIN_BUSY

    const char *TOCSIN_CAPSULE

    ctypedef struct tocsin_automaton:
        pass

    ctypedef struct tocsin_scanner:
        pass

    ctypedef struct tocsin_match:
        uint64_t pattern
        uint64_t start
        uint64_t end

    ctypedef struct tocsin_api:
        uint32_t abi
        uint32_t size
        const char *version
        const tocsin_automaton *(*automaton)(object) except NULL
        tocsin_scanner *(*scanner)(object) except NULL
        object (*take)(object)
        size_t (*count)(const tocsin_automaton *, const unsigned char *, size_t) noexcept nogil
        int (*is_match)(const tocsin_automaton *, const unsigned char *, size_t) noexcept nogil
        ptrdiff_t (*find)(const tocsin_automaton *, const unsigned char *, size_t,
                          tocsin_match *, size_t) noexcept nogil
        ptrdiff_t (*feed)(tocsin_scanner *, const unsigned char *, size_t) noexcept nogil

    const tocsin_api *tocsin_import() except NULL
