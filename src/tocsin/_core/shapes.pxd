from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum shape_t:
    SHAPE_NONE = 0
    SHAPE_BLANK = 1
    SHAPE_FRAME = 2
    SHAPE_WORDS = 3     # hex words only: stack dumps
    SHAPE_RULER = 4     # a line of = or - (KASAN, lockdep, slab)
    SHAPE_FIRST_NAMED = 5
    SHAPE_ABSENT = 255

cdef struct frame_t:
    # Places in the body, half-open; empty where the notation has no such part.
    uint32_t symbol
    uint32_t symbol_end
    uint32_t offsets        # "0x1d/0x50" behind the plus sign
    uint32_t offsets_end
    uint32_t module
    uint32_t module_end
    uint32_t source         # "mm/slub.c:123"
    uint32_t source_end
    bint unreliable         # "? " or "(unreliable)": left over on the stack
    bint inlined
    bint raw                # an address without a symbol
    bint decimal            # the offset is (`<addr>{f+17}`)
    uint32_t next           # where the next frame of the same line may begin; 0: one a line

cdef bint parse_frame(const uint8_t *body, uint32_t size, frame_t *out) noexcept nogil
cdef bint braced_frame(
    const uint8_t *body, uint32_t at, uint32_t size, frame_t *out
) noexcept nogil

cdef struct pattern_t:
    uint16_t shape
    uint16_t length
    bint anywhere
    const uint8_t *text

cdef class Shapes:
    cdef pattern_t *patterns
    cdef uint32_t count
    # patterns sorted by first byte; those that begin with a wild card stand at 256
    cdef uint32_t first[258]
    cdef uint32_t anywhere_from
    cdef tuple keep
    cdef readonly tuple names
    # The shapes that the core knows by name: a report asks other CPUs for backtraces, and an
    # answer begins; then those by which two reports at once are told apart. ABSENT when the
    # ruleset has none.
    cdef uint8_t request
    cdef uint8_t reply
    cdef uint8_t identity
    cdef uint8_t registers
    cdef uint8_t code
    cdef uint8_t head
    cdef uint8_t marker

    cdef uint8_t number(self, str name)
    cdef uint8_t shape_of(self, const uint8_t *body, uint32_t size) noexcept nogil
