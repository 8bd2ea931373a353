from libc.stdint cimport int64_t, uint8_t

# In the order of tocsin.ConsoleState.
cdef enum console_state_t:
    STATE_UNKNOWN = 0
    STATE_BOOTLOADER = 1
    STATE_BOOTING = 2
    STATE_UP = 3
    STATE_EMERGENCY = 4
    STATE_PANICKED = 5
    STATE_HALTED = 6
    STATES = 7

cdef struct console_now_t:
    uint8_t state
    # The state that a new boot broke into, until the kernel's banner has told of it; 0 none.
    uint8_t before
    bint banner         # the line at work begins a boot
    int64_t boot        # boots seen, less one

# Take in what a line says of the console; True when with it a new boot begins.
cdef bint console_step(console_now_t *now, uint8_t to, bint new_boot) noexcept nogil
# A line has been judged: what was said of it alone is over.
cdef void console_next(console_now_t *now) noexcept nogil
