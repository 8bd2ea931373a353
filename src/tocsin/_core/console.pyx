"""What the console last showed the machine to be doing, and how many boots that makes.

Firmware and then the kernel's banner are one boot; anything later than these and again one of
them is the next. A panic and a halt hold until something shows that a machine runs again, and a
login prompt is such a thing: a quiet boot shows nothing before it.
"""

from libc.stdint cimport uint8_t


cdef void new_boot_begins(console_now_t *now) noexcept nogil:
    now.boot += 1
    now.before = now.state


cdef bint console_step(console_now_t *now, uint8_t to, bint new_boot) noexcept nogil:
    cdef uint8_t was = now.state
    cdef bint begins = False
    if new_boot:
        now.banner = True
        begins = was != STATE_UNKNOWN and was != STATE_BOOTLOADER
    elif to == STATE_UP:
        begins = was == STATE_PANICKED or was == STATE_HALTED
    elif to == STATE_HALTED or to == STATE_EMERGENCY:
        if was == STATE_PANICKED:
            return False
    elif to != STATE_PANICKED:
        # Weak signs (a service starts, a loader's menu) do not take back what stronger ones said.
        if was != STATE_UNKNOWN and not (to == STATE_BOOTING and was == STATE_BOOTLOADER):
            return False
    if begins:
        new_boot_begins(now)
        if not new_boot:
            now.before = STATE_UNKNOWN
    now.state = to
    return begins


cdef void console_next(console_now_t *now) noexcept nogil:
    if now.banner:
        now.banner = False
        if now.state == STATE_BOOTING:
            now.before = STATE_UNKNOWN
