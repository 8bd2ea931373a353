from libc.stdint cimport int8_t, uint8_t, uint32_t

cdef enum clock_t:
    CLOCK_NONE = 0
    CLOCK_KERNEL = 1
    CLOCK_WALL = 2

cdef enum origin_t:
    # Nothing on the line says who printed it: a console without stamps, or user space.
    ORIGIN_UNKNOWN = 1
    ORIGIN_KERNEL = 2
    ORIGIN_USER = 4

cdef struct prefix_t:
    double time           # seconds by `clock`
    uint8_t clock         # clock_t
    uint8_t origin        # origin_t
    uint8_t caller_kind   # 'T' task, 'C' CPU, 0 not printed
    int8_t level          # 0..7, -1 not printed
    bint stamped          # a printk time stamp stood on the line
    bint syslog           # a syslog or journal header stood on the line
    bint quoted           # set by the caller: what stands before it quotes it
    bint tagged           # stamped, and a program's name and number stand before the message
    uint32_t caller
    # Half-open places in the line: host name, and where the message itself starts.
    uint32_t host
    uint32_t host_end
    uint32_t body

cdef void parse_prefix(const uint8_t *line, uint32_t size, prefix_t *out) noexcept nogil
# Offset of the next "[ 12.345678]" at or behind `start`: a kernel line glued to what stood on
# the terminal already. `size` when there is none.
cdef uint32_t find_stamp(const uint8_t *line, uint32_t start, uint32_t size) noexcept nogil
# Whether text in front of a stamp is that of somebody who shows the line: `> `, `| `, `+`, `12:`.
cdef bint quoting(const uint8_t *front, size_t size) noexcept nogil
cdef bint retelling(const uint8_t *front, uint32_t body, uint32_t size) noexcept nogil
