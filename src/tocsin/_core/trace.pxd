from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from tocsin._core.grow cimport bytes_t
from tocsin._core.types cimport offset_t

cdef enum line_flag_t:
    LINE_START = 1       # a start of `rule`: the trace's own, or one it took in
    LINE_END = 2
    LINE_CUT = 4         # longer than the line limit: the rest is not here

cdef struct line_t:
    offset_t offset      # of the line's first byte in the stream
    uint32_t at          # where its bytes begin in the trace's text
    uint32_t length
    uint32_t body        # offset of the message in the line
    int32_t rule         # with LINE_START: whose start; else -1
    uint8_t shape
    uint8_t flags
    uint8_t tail         # bytes of its line end in the stream; 255: that many or more

cdef struct lines_t:
    line_t *at
    size_t used
    size_t room
    bint failed

cdef enum:
    # Weaker starts of a line that are kept, in case the strongest is none on a closer look.
    WEAKER = 3

cdef struct trace_t:
    int32_t rule
    int32_t[WEAKER] weaker   # other rules that its first line may begin, strongest first; -1 none
    uint8_t lane
    bint folded          # repeats of a one-line rule, not a report
    bint ended           # its end line was seen; follow-ups may still come
    bint any_caller      # it asked other CPUs for backtraces: theirs belong here
    bint provisional
    uint8_t reason       # ended_t, when closed
    # Context: who prints it.
    uint64_t host
    uint8_t host_name[64]
    uint8_t host_size
    bint stamped
    uint8_t caller_kind
    uint32_t caller
    uint32_t aliases[16]     # callers taken in after a backtrace request
    uint32_t alias_count
    # Time of the first and of the last line.
    uint8_t clock
    double first_time
    double last_time
    int8_t level
    uint8_t confidence
    int64_t boot             # -1: the stream does not say
    uint8_t before           # on a boot's banner: the console state it broke into
    uint64_t fold_key
    uint64_t count           # occurrences
    # Serial of a report that began while this one went on, and takes its lines; 0 none.
    uint64_t rival
    uint64_t serial          # order of opening: ties in closing are settled by it
    uint32_t foreign         # lines of its context since its last own line
    uint32_t others          # lines of other contexts of its host since then
    uint64_t total           # lines that belonged, kept or not
    uint64_t dropped         # of these, not kept because of a limit
    uint64_t held_lost       # held lines that found no room: nobody knows yet whose they are
    offset_t last_end        # behind its last own line in the stream
    bytes_t text
    lines_t lines
    # Lines and bytes up to here belong for certain; what follows is held until the next certain
    # line confirms it, or is cut off when the trace closes.
    size_t sure_lines
    size_t sure_text

cdef enum ended_t:
    ENDED_END = 0
    ENDED_NEXT = 1
    ENDED_GAP = 2
    ENDED_TIME = 3
    ENDED_LIMIT = 4
    ENDED_FLUSH = 5
    ENDED_LINE = 6
    ENDED_BOOT = 7
    ENDED_EVICTED = 8

cdef trace_t *trace_new() noexcept nogil
cdef void trace_free(trace_t *trace) noexcept nogil
cdef void trace_cut(trace_t *trace) noexcept nogil
cdef void lines_push(lines_t *v, line_t item) noexcept nogil

cdef class Trace:
    cdef trace_t *c
    cdef object _text
    cdef tuple shape_names
