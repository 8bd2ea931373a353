"""Which literals lie where a window of theirs may lie: candidates found, then verified.

simd/candidates.h finds the places that the byte tables of a plan (windows.pyx) let through. Three
looks, each at fewer places than the one before, say which literals are there: a bit by the hash of
the window; eight bytes of the literals that have this window; all bytes of those that have these.
They hardly branch on what they find, because a branch would wait for the text and be mispredicted.
The filter misses nothing and proves nothing: what a match is, the automaton says.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from tocsin._core.grow cimport hits_reserve, hits_t
from tocsin._core.plans cimport planned_t
from tocsin._core.types cimport hit_t
from tocsin._core.variant cimport candidates_look, look_for, variant_t
from tocsin._core.windows cimport TABLE_BYTES, plan_windows


cdef extern from *:
    """
    /* The low `size` bytes of a word; the C compiler makes it one load from a table. */
    #include <stdint.h>
    static const uint8_t tocsin_tail[64] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    #define unlikely(x) __builtin_expect(!!(x), 0)
    """
    const uint8_t *tocsin_tail
    bint unlikely(bint x) noexcept nogil


cdef enum:
    SCREEN_BITS = 16
    # Bytes of a literal that are compared without asking how many it has.
    QUICK_BYTES = 32
    # Candidates that are looked at in one go.
    GO = 256
    MOST_PAIRS = 512
    # Up to here a second turn of planning gains more than it costs.
    FEW_FOR_TURNS = 8000
    # What the three looks cost a place, in nanoseconds on a machine of 2023. Only their ratios,
    # and the one to the automaton's walk, matter. bench: near-400, spam-400, mixed-400.
    CANDIDATE_NS = 4
    SURVIVOR_NS = 12
    PAIR_NS = 12
    # What a walk of the automaton's table costs a kilobyte: more when it is in no near cache.
    WALK_NS = 600
    WALK_FAR_NS = 2400
    MANY_FOR_WALKING = 2000


# A literal that may lie in the block: its window's first byte is there.
cdef struct pair_t:
    size_t place
    const entry_t *entry


cdef inline uint64_t fold_bytes(uint64_t word) noexcept nogil:
    """ASCII upper-case letters of eight bytes in lower case."""
    cdef uint64_t ones = <uint64_t> 0x0101010101010101
    cdef uint64_t low = word & (0x7F * ones)
    # Bit 7 of a byte: whether its low seven bits are >= "A", and whether they are > "Z".
    cdef uint64_t is_upper = (low + (0x80 - 65) * ones) & ~(low + (0x7F - 90) * ones)
    return word | ((is_upper & ~word & (0x80 * ones)) >> 2)


cdef inline uint32_t hash_bytes(uint64_t word) noexcept nogil:
    """The screen and the heads use its upper bits."""
    return <uint32_t> ((word * <uint64_t> 0x9E3779B97F4A7C15) >> 32)


cdef inline uint64_t low_bytes(size_t count) noexcept nogil:
    return ~<uint64_t> 0 if count >= 8 else (<uint64_t> 1 << (8 * count)) - 1


cdef inline uint64_t word_at(const uint8_t *data, size_t length, size_t at,
                             bint fold) noexcept nogil:
    """Eight bytes from `at` on, zeros beyond the data."""
    cdef uint64_t word = 0
    if at < length:
        if length - at >= 8:
            memcpy(&word, data + at, 8)
        else:
            memcpy(&word, data + at, length - at)
    return fold_bytes(word) if fold else word


# --- building -------------------------------------------------------------------------------------

cdef uint8_t width_number(prefilter_t *filter, uint64_t mask) noexcept nogil:
    cdef uint32_t k
    for k in range(filter.widths):
        if filter.width_masks[k] == mask:
            return <uint8_t> k
    filter.width_masks[filter.widths] = mask
    filter.widths += 1
    return <uint8_t> (filter.widths - 1)


cdef int build_entries(prefilter_t *filter, size_t patterns) noexcept nogil:
    """Sort the literals by the hash of their window."""
    cdef size_t p, begin, length, known
    cdef int bits = 8
    cdef uint32_t h
    cdef uint64_t word
    cdef entry_t entry
    cdef entry_t *made = <entry_t *> calloc(patterns + 1, sizeof(entry_t))
    cdef uint32_t *hashes = <uint32_t *> malloc((patterns + 1) * sizeof(uint32_t))
    while (<size_t> 1 << bits) < 2 * patterns and bits < 24:
        bits += 1
    filter.head_shift = 32 - bits
    filter.heads = <uint32_t *> calloc((<size_t> 1 << bits) + 2, sizeof(uint32_t))
    # One more than there are: looked at where a head has none.
    filter.entries = <entry_t *> calloc(patterns + 1, sizeof(entry_t))
    filter.screen = <uint8_t *> calloc(1 << (SCREEN_BITS - 3), 1)
    if (made == NULL or hashes == NULL or filter.heads == NULL or filter.entries == NULL
            or filter.screen == NULL):
        free(made)
        free(hashes)
        return -1
    for p in range(patterns):
        begin = filter.ends[p - 1] if p else 0
        length = filter.ends[p] - begin
        known = length - filter.window[p]
        entry = made[p]
        entry.at = <uint32_t> begin
        entry.size = <uint32_t> length
        entry.pattern = <uint32_t> p
        entry.back = <uint16_t> filter.window[p]
        entry.before = filter.span <= known < KEY_BYTES and entry.back >= KEY_BYTES - filter.span
        entry.mask = ~<uint64_t> 0 if entry.before else low_bytes(known)
        memcpy(&entry.want, filter.text + begin + entry.back
               - (KEY_BYTES - filter.span if entry.before else 0), KEY_BYTES)
        entry.want &= entry.mask
        word = 0
        known = min(known, filter.span)
        memcpy(&word, filter.text + begin + entry.back, known)
        entry.width = width_number(filter, low_bytes(known))
        made[p] = entry
        h = hash_bytes(word)
        filter.screen[h >> (32 - SCREEN_BITS + 3)] |= (
            <uint8_t> 1 << ((h >> (32 - SCREEN_BITS)) & 7))
        hashes[p] = h >> filter.head_shift
        filter.heads[hashes[p] + 2] += 1
        if filter.window[p] > filter.back_most:
            filter.back_most = filter.window[p]
        if length - filter.window[p] > filter.ahead_most:
            filter.ahead_most = <uint32_t> (length - filter.window[p])
    for h in range(<uint32_t> 1 << bits):
        filter.heads[h + 2] += filter.heads[h + 1]
    # heads[h + 1] is where the next entry of h goes, and, when all are placed, where h ends.
    for p in range(patterns):
        filter.entries[filter.heads[hashes[p] + 1]] = made[p]
        filter.heads[hashes[p] + 1] += 1
    free(made)
    free(hashes)
    return 0


cdef int prefilter_build(prefilter_t *filter, uint8_t *text, size_t *ends, size_t patterns,
                         bint fold, const variant_t *variant,
                         const planned_t *planned) noexcept nogil:
    cdef const candidates_look *look = look_for(variant, patterns)
    cdef size_t p
    filter.text = text
    filter.ends = ends
    filter.fold = fold
    filter.window = <uint32_t *> calloc(patterns + 1, sizeof(uint32_t))
    filter.tables = <uint8_t *> calloc(TABLE_BYTES, 1)
    if filter.window == NULL or filter.tables == NULL:
        return -1
    filter.find = look.find
    filter.reach = <size_t> look.reach
    filter.span = filter.reach + 2
    filter.most_ns = WALK_NS if patterns < MANY_FOR_WALKING else WALK_FAR_NS
    if planned.tables != NULL:
        memcpy(filter.tables, planned.tables, TABLE_BYTES)
        for p in range(patterns):
            filter.window[p] = planned.windows[p]
    elif plan_windows(text, ends, patterns, fold, look, 2 if patterns <= FEW_FOR_TURNS else 1,
                      filter.window, filter.tables) != 0:
        return -1
    return build_entries(filter, patterns)


cdef void prefilter_free(prefilter_t *filter) noexcept nogil:
    free(filter.tables)
    free(filter.entries)
    free(filter.heads)
    free(filter.screen)
    free(filter.text)
    free(filter.ends)
    free(filter.window)
    memset(filter, 0, sizeof(prefilter_t))


# --- verifying ------------------------------------------------------------------------------------

cdef inline uint64_t differing(const uint8_t *data, const uint8_t *text, size_t size, size_t at,
                               bint fold) noexcept nogil:
    """What differs in data[at:at + 8] of a literal of `size` bytes; bytes beyond it do not."""
    cdef uint64_t seen, want, mask
    memcpy(&seen, data + at, 8)
    memcpy(&want, text + at, 8)
    memcpy(&mask, tocsin_tail + QUICK_BYTES - size + at, 8)
    if fold:
        seen = fold_bytes(seen)
    return (seen ^ want) & mask


cdef bint same_text(const prefilter_t *filter, const uint8_t *data, size_t readable,
                    const uint8_t *text, size_t size) noexcept nogil:
    """Whether a long literal, or one near the end of the data, is there."""
    cdef size_t i
    cdef uint8_t byte
    if size > readable:
        return False
    if not filter.fold:
        return memcmp(data, text, size) == 0
    for i in range(size):
        byte = data[i]
        if 65 <= byte <= 90:
            byte += 32
        if byte != text[i]:
            return False
    return True


cdef void verify_pairs(const prefilter_t *filter, const uint8_t *data, size_t length,
                       const pair_t *pairs, size_t count, hits_t *out) noexcept nogil:
    """The third look: whole literals, appended if they are there."""
    cdef size_t i, size, start
    cdef const uint8_t *text
    cdef const uint8_t *seen
    cdef const entry_t *entry
    cdef bint same
    cdef hit_t hit
    if not hits_reserve(out, count):
        return
    for i in range(count):
        entry = pairs[i].entry
        # One that would begin before the data wraps around and is beyond it.
        start = pairs[i].place - entry.back
        size = entry.size
        text = filter.text + entry.at
        if unlikely(start >= length or length - start < QUICK_BYTES or size > QUICK_BYTES):
            same = start < length and same_text(filter, data + start, length - start, text, size)
        else:
            seen = data + start
            same = (differing(seen, text, size, 0, filter.fold)
                    | differing(seen, text, size, 8, filter.fold)
                    | differing(seen, text, size, 16, filter.fold)
                    | differing(seen, text, size, 24, filter.fold)) == 0
        hit.pattern = entry.pattern
        hit.start = <uint32_t> start
        hit.end = <uint32_t> (start + size)
        out.at[out.used] = hit
        out.used += same


cdef inline uint64_t word_of(const prefilter_t *filter, const uint8_t *data, size_t length,
                             size_t at, bint inside) noexcept nogil:
    """As word_at; `inside`: the eight bytes are known to be there."""
    cdef uint64_t word
    if not inside:
        return word_at(data, length, at, filter.fold)
    memcpy(&word, data + at, 8)
    return fold_bytes(word) if filter.fold else word


cdef size_t screen_windows(const prefilter_t *filter, const uint8_t *data, size_t length, size_t lo,
                           const uint16_t *ends, size_t count, bint inside,
                           uint32_t *kept) noexcept nogil:
    """The first look. Reads nothing but text and 8 KB of bits; keeps end and width."""
    cdef size_t i, found = 0, at = lo - filter.reach
    cdef uint64_t word
    cdef uint32_t h, k, widths = filter.widths
    cdef const uint8_t *screen = filter.screen
    for i in range(count):
        word = word_of(filter, data, length, at + ends[i], inside)
        # Most sets of literals have one width of windows, or two.
        for k in range(widths):
            h = hash_bytes(word & filter.width_masks[k])
            kept[found] = <uint32_t> ends[i] | (k << 16)
            found += (screen[h >> (32 - SCREEN_BITS + 3)]
                      >> ((h >> (32 - SCREEN_BITS)) & 7)) & 1
    return found


cdef bint verify(const prefilter_t *filter, const uint8_t *data, size_t length, size_t lo,
                 size_t hi, size_t count, const uint16_t *ends, hits_t *out) noexcept nogil:
    cdef size_t i, at, place, kept, used = 0, most, cost, before = out.used
    cdef size_t reach = filter.reach, back = KEY_BYTES - filter.span
    cdef uint64_t ahead, behind
    cdef uint32_t k, e, end
    cdef int shift = filter.head_shift
    cdef const uint32_t *heads = filter.heads
    cdef const uint32_t *head
    cdef const entry_t *entries = filter.entries
    cdef const entry_t *entry
    cdef uint32_t[GO * MOST_SPAN] windows
    cdef pair_t[MOST_PAIRS] pairs
    # Whether no word of this block reaches beyond the data. Ends may lie 63 beyond `hi`.
    cdef bint inside = lo >= reach + KEY_BYTES and hi + 63 + 8 <= length
    most = (hi - lo) * filter.most_ns // 1024 + 1000
    cost = count * CANDIDATE_NS
    at = 0
    while at < count and cost <= most:
        kept = screen_windows(filter, data, length, lo, ends + at, min(count - at, <size_t> GO),
                              inside, windows)
        cost += kept * SURVIVOR_NS
        for i in range(kept):
            place = lo + (windows[i] & 0xFFFF) - reach
            k = windows[i] >> 16
            # A window that begins before the data has wrapped around.
            if unlikely(place >= length or place + reach >= hi):
                continue
            ahead = word_of(filter, data, length, place, inside)
            # Before the data's first byte it wraps around, and reads as zeros.
            behind = word_of(filter, data, length, place - back, inside)
            head = &heads[hash_bytes(ahead & filter.width_masks[k]) >> shift]
            e = head[0]
            end = head[1]
            # Once even if there is none: what is known too late is not asked.
            while True:
                if unlikely(used == MOST_PAIRS):
                    verify_pairs(filter, data, length, pairs, used, out)
                    cost += used * PAIR_NS
                    used = 0
                entry = &entries[e]
                pairs[used].place = place
                pairs[used].entry = entry
                used += (
                    (e < end) & (entry.width == k)
                    # One of the two words, chosen without a branch.
                    & (((ahead ^ ((ahead ^ behind) & (0 - <uint64_t> entry.before))) & entry.mask)
                       == entry.want)
                )
                e += 1
                if e >= end:
                    break
        verify_pairs(filter, data, length, pairs, used, out)
        cost += used * PAIR_NS
        used = 0
        at += GO
        # As dense as so far, the rest would cost too much: better known now than then.
        if at < count and count * CANDIDATE_NS + (cost - count * CANDIDATE_NS) * count // at > most:
            break
    if at < count or cost > most:
        out.used = before
        return False
    return True


cdef bint prefilter_block(const prefilter_t *filter, const uint8_t *data, size_t length,
                          size_t lo, size_t hi, hits_t *out) noexcept nogil:
    cdef uint16_t[BLOCK_BYTES + 64] ends
    cdef size_t count = filter.find(filter.tables, data, length, lo, hi, ends)
    if count == 0:
        return True
    return verify(filter, data, length, lo, hi, count, ends, out)


cdef size_t prefilter_passed(const prefilter_t *filter, const uint8_t *data,
                             size_t length) noexcept nogil:
    cdef uint16_t[BLOCK_BYTES + 64] ends
    cdef size_t lo = 0, total = 0
    while lo < length:
        total += filter.find(filter.tables, data, length, lo,
                             min(length + filter.reach, lo + BLOCK_BYTES), ends)
        lo += BLOCK_BYTES
    return total
