"""Where a literal may lie: one rare window of each, looked for with byte tables.

A literal need not be recognised by its first bytes: "BUG: soft lockup" is better recognised by
"ft lo". plan_windows() gives each literal a window and a bucket, so that few places of ordinary
text pass the tables; simd/candidates.h finds those that do; verify() asks each which literals are
there. The filter misses nothing and proves nothing: what a match is, the automaton says.
Long because the plan, its tables and the verification are right only together.
"""

import zlib

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

from tocsin._core.grow cimport hits_push, hits_t
from tocsin._core.types cimport hit_t
from tocsin._core.variant cimport TABLES_PAIRS, variant_t


cdef extern from "simd/sample.h" nogil:
    const int SAMPLE_BYTES
    const char *sample_text

cdef extern from *:
    """
    #define count_trailing_zeros(x) __builtin_ctzll(x)
    """
    int count_trailing_zeros(uint64_t x) noexcept nogil


cdef enum:
    MOST_BUCKETS = 16
    MOST_FEATURES = 8
    KINDS = 3
    MOST_CELLS = 128
    # Windows of one literal that are weighed; a longer literal has its first ones weighed.
    MOST_WINDOWS = 48
    SCREEN_BITS = 16
    # Bytes of a literal that are compared without asking how many it has.
    QUICK_BYTES = 32
    # From here on 16 buckets save more false candidates than the second set of tables costs;
    # nibbles let more through. bench: quiet-50, quiet-400, quiet-1000.
    MANY_FOR_PAIRS = 150
    MANY_FOR_NIBBLES = 100
    # From here on the automaton's table is in no near cache and walking it so slow that twelve
    # bytes of it are no longer worth a step of verification, but three. bench: near-400, spam-400,
    # quiet-5000, near-5000.
    MANY_FOR_WALKING = 2000


# --- planning -------------------------------------------------------------------------------------

cdef struct feature_t:
    # 0: seven bits of the cell of this byte and the next; 1: its low nibble; 2: its high one.
    int kind
    # Which byte of the window.
    int offset


cdef struct plan_t:
    int features
    int buckets
    int cells
    feature_t[MOST_FEATURES] feature
    bint fold
    # Number of pairs of features, and where the pair (i, j) is counted.
    int pairs
    int[MOST_FEATURES][MOST_FEATURES] pair
    # The sample as each kind of feature sees it, and, per kind and cell, at which places.
    int places
    uint8_t *stream[KINDS]
    uint32_t *where[KINDS]
    uint32_t[KINDS][MOST_CELLS + 1] first
    double[KINDS][MOST_CELLS] share
    # Per bucket and place: which features reject the window there. 0 is a false candidate.
    uint8_t *rejects[MOST_BUCKETS]
    # What a cell newly allowed would let through: places that only feature i rejects, by its
    # cell; places that only i and j reject, by both cells.
    int32_t[MOST_BUCKETS][MOST_FEATURES][MOST_CELLS] alone
    int32_t *both[MOST_BUCKETS]
    # Places at which the first so many cells of a window are what they are, by hash.
    int32_t *exact
    # How many literals of the bucket allow the cell, and the share of text the allowed ones have.
    int32_t[MOST_BUCKETS][MOST_FEATURES][MOST_CELLS] allowed
    double[MOST_BUCKETS][MOST_FEATURES] mass


cdef struct cells_t:
    int count
    uint8_t[MOST_CELLS] cell


cdef enum:
    EXACT_BITS = 16


cdef inline uint8_t cell_of(int kind, const uint8_t *at) noexcept nogil:
    cdef uint8_t cell = <uint8_t> ((2 * at[0] - at[1]) & 255)
    if kind == 0:
        return cell & 127
    return cell & 15 if kind == 1 else cell >> 4


cdef inline uint8_t other_case(uint8_t byte, bint fold) noexcept nogil:
    """The byte itself unless it is a (folded) letter that matches in either case."""
    return byte - 32 if fold and 97 <= byte <= 122 else byte


cdef void cells_of(const plan_t *plan, int feature, const uint8_t *text, size_t length,
                   size_t window, cells_t *out) noexcept nogil:
    """The cells the feature may see where text[window:] lies; beyond the text anything."""
    cdef bint[MOST_CELLS] seen
    cdef int kind = plan.feature[feature].kind, i, j, seconds
    cdef size_t at = window + plan.feature[feature].offset
    cdef uint8_t[2] first
    cdef uint8_t[256] second
    cdef uint8_t[2] seen_at
    cdef uint8_t cell
    out.count = 0
    if at >= length:
        for i in range(plan.cells):
            out.cell[i] = <uint8_t> i
        out.count = plan.cells
        return
    memset(seen, 0, sizeof(seen))
    first[0] = text[at]
    first[1] = other_case(text[at], plan.fold)
    if at + 1 < length:
        second[0] = text[at + 1]
        second[1] = other_case(text[at + 1], plan.fold)
        seconds = 2
    else:
        seconds = 256
        for j in range(256):
            second[j] = <uint8_t> j
    for i in range(2):
        for j in range(seconds):
            seen_at[0] = first[i]
            seen_at[1] = second[j]
            cell = cell_of(kind, seen_at)
            if not seen[cell]:
                seen[cell] = True
                out.cell[out.count] = cell
                out.count += 1


cdef inline void tell(plan_t *plan, int bucket, int place, int32_t by) noexcept nogil:
    """Count the place among those that one or two more cells would let through."""
    cdef uint32_t rejects = plan.rejects[bucket][place], others = rejects & (rejects - 1)
    cdef int i, j
    if others & (others - 1) or rejects == 0:
        return
    i = count_trailing_zeros(rejects)
    if others == 0:
        plan.alone[bucket][i][sampled(plan, i, place)] += by
    else:
        j = count_trailing_zeros(others)
        plan.both[bucket][(plan.pair[i][j] * plan.cells + sampled(plan, i, place)) * plan.cells
                          + sampled(plan, j, place)] += by


cdef inline uint8_t sampled(const plan_t *plan, int feature, int place) noexcept nogil:
    return plan.stream[plan.feature[feature].kind][place + plan.feature[feature].offset]


cdef void allow(plan_t *plan, int bucket, const cells_t *window, int by) noexcept nogil:
    """Let a window into a bucket (by = 1), or take it out (by = -1)."""
    cdef int i, k, kind, place
    cdef uint32_t w
    cdef uint8_t cell
    for i in range(plan.features):
        kind = plan.feature[i].kind
        for k in range(window[i].count):
            cell = window[i].cell[k]
            plan.allowed[bucket][i][cell] += by
            if plan.allowed[bucket][i][cell] != (1 if by > 0 else 0):
                continue
            plan.mass[bucket][i] += by * plan.share[kind][cell]
            for w in range(plan.first[kind][cell], plan.first[kind][cell + 1]):
                place = <int> plan.where[kind][w] - plan.feature[i].offset
                if 0 <= place < plan.places:
                    tell(plan, bucket, place, -1)
                    plan.rejects[bucket][place] ^= <uint8_t> (1 << i)
                    tell(plan, bucket, place, 1)


cdef inline uint32_t exact_slot(uint32_t mix, int count) noexcept nogil:
    return ((mix * <uint32_t> 0x9E3779B1) >> (32 - EXACT_BITS)) + (
        <uint32_t> count << EXACT_BITS)


cdef double price(const plan_t *plan, int bucket, const cells_t *window) noexcept nogil:
    """How many more false candidates the bucket has in the sample with this window in it.

    Places that more than two features reject are not looked up; a smooth estimate, as if features
    were independent, stands for them and for text that is not in the sample.
    """
    cdef int i, j, k, n
    cdef double before = 1, after = 1, mass, found = 0
    cdef const int32_t *both
    for i in range(plan.features):
        mass = plan.mass[bucket][i]
        before *= mass
        for k in range(window[i].count):
            if plan.allowed[bucket][i][window[i].cell[k]] == 0:
                mass += plan.share[plan.feature[i].kind][window[i].cell[k]]
                found += plan.alone[bucket][i][window[i].cell[k]]
        after *= mass
    for i in range(plan.features):
        if window[i].count > 4:
            continue
        for j in range(i + 1, plan.features):
            if window[j].count > 4:
                continue
            both = plan.both[bucket] + plan.pair[i][j] * plan.cells * plan.cells
            for k in range(window[i].count):
                for n in range(window[j].count):
                    found += both[window[i].cell[k] * plan.cells + window[j].cell[n]]
    # 10: found by trial on held-out text between 1 and 100; a flat optimum.
    return found + 10 * (after - before) * plan.places


cdef int plan_sample(plan_t *plan) noexcept nogil:
    """Look at the sample through the features."""
    cdef int kind, place, i, cell, b, count
    cdef uint32_t mix
    cdef uint32_t[MOST_CELLS] at
    cdef const uint8_t *text = <const uint8_t *> sample_text
    plan.places = SAMPLE_BYTES - 8
    for kind in range(KINDS):
        if (kind == 0) != (plan.feature[0].kind == 0):
            continue
        plan.stream[kind] = <uint8_t *> malloc(SAMPLE_BYTES)
        plan.where[kind] = <uint32_t *> malloc(SAMPLE_BYTES * sizeof(uint32_t))
        if plan.stream[kind] == NULL or plan.where[kind] == NULL:
            return -1
        memset(plan.first[kind], 0, sizeof(plan.first[kind]))
        count = SAMPLE_BYTES - 1
        for place in range(count):
            cell = cell_of(kind, text + place)
            plan.stream[kind][place] = <uint8_t> cell
            plan.first[kind][cell + 1] += 1
        for cell in range(MOST_CELLS):
            plan.share[kind][cell] = (plan.first[kind][cell + 1] + 1.0) / count
            plan.first[kind][cell + 1] += plan.first[kind][cell]
            at[cell] = plan.first[kind][cell]
        for place in range(count):
            cell = plan.stream[kind][place]
            plan.where[kind][at[cell]] = <uint32_t> place
            at[cell] += 1
    plan.pairs = 0
    for i in range(plan.features):
        for b in range(i + 1, plan.features):
            plan.pair[i][b] = plan.pairs
            plan.pairs += 1
    plan.exact = <int32_t *> calloc(<size_t> (MOST_FEATURES + 1) << EXACT_BITS, sizeof(int32_t))
    if plan.exact == NULL:
        return -1
    for place in range(plan.places):
        mix = 0
        for i in range(plan.features):
            mix = mix * 131 + sampled(plan, i, place) + 1
            plan.exact[exact_slot(mix, i + 1)] += 1
    for b in range(plan.buckets):
        plan.rejects[b] = <uint8_t *> malloc(plan.places)
        plan.both[b] = <int32_t *> calloc(
            <size_t> plan.pairs * plan.cells * plan.cells, sizeof(int32_t))
        if plan.rejects[b] == NULL or plan.both[b] == NULL:
            return -1
        for place in range(plan.places):
            plan.rejects[b][place] = <uint8_t> ((1 << plan.features) - 1)
    return 0


cdef void plan_free(plan_t *plan) noexcept nogil:
    cdef int i
    if plan == NULL:
        return
    for i in range(KINDS):
        free(plan.stream[i])
        free(plan.where[i])
    for i in range(MOST_BUCKETS):
        free(plan.rejects[i])
        free(plan.both[i])
    free(plan.exact)
    free(plan)


cdef void place_pattern(plan_t *plan, const uint8_t *text, size_t length, uint32_t *window,
                        int *bucket, bint again) noexcept nogil:
    """Give one literal the cheapest window and bucket as things stand."""
    cdef cells_t[MOST_FEATURES] cells
    cdef size_t at, most
    cdef int b, i, known
    cdef double cost, best = 1e300, frequent
    cdef uint32_t mix, best_at = 0
    cdef int best_bucket = 0
    if again:
        for i in range(plan.features):
            cells_of(plan, i, text, length, window[0], &cells[i])
        allow(plan, bucket[0], cells, -1)
    # A literal with fewer bytes than a window has its window at its start.
    most = length - WINDOW_BYTES if length > WINDOW_BYTES else 0
    if most > MOST_WINDOWS:
        most = MOST_WINDOWS
    for at in range(most + 1):
        mix = 0
        known = 0
        for i in range(plan.features):
            cells_of(plan, i, text, length, at, &cells[i])
            if known == i and cells[i].count == 1:
                mix = mix * 131 + cells[i].cell[0] + 1
                known += 1
        frequent = plan.exact[exact_slot(mix, known)] if known else 0
        for b in range(plan.buckets):
            cost = price(plan, b, cells) + 4 * frequent
            if cost < best:
                best = cost
                best_at = <uint32_t> at
                best_bucket = b
    window[0] = best_at
    bucket[0] = best_bucket
    for i in range(plan.features):
        cells_of(plan, i, text, length, best_at, &cells[i])
    allow(plan, best_bucket, cells, 1)


cdef int plan_windows(prefilter_t *filter, size_t patterns, int kind, int buckets) noexcept nogil:
    """Choose every literal's window and bucket, greedily, and write the tables."""
    cdef plan_t *plan = <plan_t *> calloc(1, sizeof(plan_t))
    cdef int *bucket = <int *> malloc((patterns + 1) * sizeof(int))
    cdef uint32_t *order = <uint32_t *> malloc((patterns + 1) * sizeof(uint32_t))
    cdef int status = -1, i, b, cell, turn, turns
    cdef size_t p, k, length, begin, used
    cdef uint32_t[17] by_length
    if plan != NULL and bucket != NULL and order != NULL:
        plan.fold = filter.fold
        plan.buckets = buckets
        if kind == TABLES_PAIRS:
            plan.features = 4
            plan.cells = 128
            for i in range(4):
                plan.feature[i].kind = 0
                plan.feature[i].offset = i
        else:
            plan.features = 8
            plan.cells = 16
            for i in range(8):
                plan.feature[i].kind = 1 + (i & 1)
                plan.feature[i].offset = i >> 1
        status = plan_sample(plan)
    if status == 0:
        # The shortest first: they have no choice, the others can keep out of their way.
        memset(by_length, 0, sizeof(by_length))
        used = 0
        for length in range(1, 17):
            for p in range(patterns):
                k = filter.ends[p] - (filter.ends[p - 1] if p else 0)
                if k == length or (length == 16 and k > 16):
                    order[used] = <uint32_t> p
                    used += 1
        # A second turn lets those that came early look again; beyond some number of literals it
        # costs more than it gains.
        turns = 2 if patterns <= 400 else 1
        for turn in range(turns):
            for k in range(used):
                p = order[k]
                begin = filter.ends[p - 1] if p else 0
                place_pattern(plan, filter.text + begin, filter.ends[p] - begin,
                              &filter.window[p], &bucket[p], turn > 0)
        for b in range(buckets):
            for i in range(plan.features):
                for cell in range(plan.cells):
                    if plan.allowed[b][i][cell]:
                        filter.tables[((b >> 3) * plan.features + i) * plan.cells + cell] |= (
                            <uint8_t> (1 << (b & 7)))
    plan_free(plan)
    free(bucket)
    free(order)
    return status


# --- verification ---------------------------------------------------------------------------------

cdef inline uint64_t fold_bytes(uint64_t word) noexcept nogil:
    """ASCII upper-case letters of eight bytes in lower case."""
    cdef uint64_t ones = <uint64_t> 0x0101010101010101
    cdef uint64_t low = word & (0x7F * ones)
    # Bit 7 of a byte: whether its low seven bits are >= "A", and whether they are > "Z".
    cdef uint64_t is_upper = (low + (0x80 - 65) * ones) & ~(low + (0x7F - 90) * ones)
    return word | ((is_upper & ~word & (0x80 * ones)) >> 2)


cdef inline uint32_t hash_key(uint64_t key) noexcept nogil:
    """Of a window's bytes. The screen and the heads use its upper bits."""
    return <uint32_t> ((key * <uint64_t> 0x9E3779B97F4A7C15) >> 32)


cdef inline uint64_t key_mask(size_t width) noexcept nogil:
    return (<uint64_t> 1 << (8 * width)) - 1


cdef inline size_t key_width(size_t known) noexcept nogil:
    """How many bytes a literal is hashed by that has so many from its window on."""
    return known if known < WINDOW_BYTES else WINDOW_BYTES


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


cdef int build_entries(prefilter_t *filter, size_t patterns) noexcept nogil:
    """Sort the literals by the hash of their window."""
    cdef size_t p, begin, length, known
    cdef int bits = 8, seen = 0
    cdef uint32_t h, at
    cdef uint64_t want
    cdef uint32_t *hashes = <uint32_t *> malloc((patterns + 1) * sizeof(uint32_t))
    while (<size_t> 1 << bits) < 2 * patterns and bits < 24:
        bits += 1
    filter.head_shift = 32 - bits
    filter.heads = <uint32_t *> calloc((<size_t> 1 << bits) + 1, sizeof(uint32_t))
    filter.entries = <entry_t *> calloc(patterns + 1, sizeof(entry_t))
    filter.screen = <uint8_t *> calloc(1 << (SCREEN_BITS - 3), 1)
    if (hashes == NULL or filter.heads == NULL or filter.entries == NULL
            or filter.screen == NULL):
        free(hashes)
        return -1
    for p in range(patterns):
        begin = filter.ends[p - 1] if p else 0
        length = filter.ends[p] - begin
        known = key_width(length - filter.window[p])
        seen |= 1 << known
        want = 0
        memcpy(&want, filter.text + begin + filter.window[p], known)
        h = hash_key(want)
        hashes[p] = h
        filter.heads[(h >> filter.head_shift) + 1] += 1
        filter.screen[h >> (32 - SCREEN_BITS + 3)] |= (
            <uint8_t> 1 << ((h >> (32 - SCREEN_BITS)) & 7))
        if filter.window[p] > filter.back_most:
            filter.back_most = filter.window[p]
        if length - filter.window[p] > filter.ahead_most:
            filter.ahead_most = <uint32_t> (length - filter.window[p])
    for h in range(1, WINDOW_BYTES + 1):
        if seen >> h & 1:
            filter.key_widths[filter.widths] = h
            filter.key_masks[filter.widths] = key_mask(h)
            filter.widths += 1
    for h in range(<uint32_t> 1 << bits):
        filter.heads[h + 1] += filter.heads[h]
    p = patterns
    while p > 0:
        p -= 1
        begin = filter.ends[p - 1] if p else 0
        length = filter.ends[p] - begin
        # heads[h + 1] is counted down to where h begins, then stands for the head of h + 1 ...
        h = hashes[p] >> filter.head_shift
        filter.heads[h + 1] -= 1
        at = filter.heads[h + 1]
        known = length - filter.window[p]
        if known > 8:
            known = 8
        memcpy(&filter.entries[at].want, filter.text + begin + filter.window[p], known)
        filter.entries[at].mask = ~<uint64_t> 0 if known == 8 else key_mask(known)
        filter.entries[at].pattern = <uint32_t> p
        filter.entries[at].back = filter.window[p]
    # ... so all heads are one too far on now: heads[h + 1] is where h begins.
    for h in range(<uint32_t> 1 << bits):
        filter.heads[h] = filter.heads[h + 1]
    filter.heads[<uint32_t> 1 << bits] = <uint32_t> patterns
    free(hashes)
    return 0


cdef inline uint64_t differing(const uint8_t *data, const uint8_t *text, size_t size, size_t at,
                               bint fold) noexcept nogil:
    """What differs in data[at:at + 8] of a literal of `size` bytes; bytes beyond it do not."""
    cdef uint64_t seen, want
    memcpy(&seen, data + at, 8)
    memcpy(&want, text + at, 8)
    if fold:
        seen = fold_bytes(seen)
    if size >= at + 8:
        return seen ^ want
    return (seen ^ want) & key_mask(size - at) if size > at else 0


cdef bint same_text(const prefilter_t *filter, const uint8_t *data, size_t readable,
                    const uint8_t *text, size_t size) noexcept nogil:
    cdef size_t i = 0
    cdef uint8_t byte
    if readable >= QUICK_BYTES:
        # No loop and no call for all but the longest: their ends would be mispredicted.
        if (differing(data, text, size, 0, filter.fold)
                | differing(data, text, size, 8, filter.fold)
                | differing(data, text, size, 16, filter.fold)
                | differing(data, text, size, 24, filter.fold)) != 0:
            return False
        if size <= QUICK_BYTES:
            return True
        i = QUICK_BYTES
    if not filter.fold:
        return memcmp(data + i, text + i, size - i) == 0
    for i in range(i, size):
        byte = data[i]
        if 65 <= byte <= 90:
            byte += 32
        if byte != text[i]:
            return False
    return True


cdef size_t verify_window(const prefilter_t *filter, const uint8_t *data, size_t length,
                          size_t at, uint64_t word, uint32_t h, size_t width,
                          hits_t *out) noexcept nogil:
    """Appends the literals whose window is at `at`; returns what that cost, in steps.

    Only literals whose key is `width` bytes wide, unless all are: keys of several widths may share
    a hash, and each literal must be found by its own alone.
    """
    cdef uint32_t i = filter.heads[h >> filter.head_shift]
    cdef uint32_t end = filter.heads[(h >> filter.head_shift) + 1]
    cdef const entry_t *entry
    cdef size_t begin, size, start, cost = 3
    cdef hit_t hit
    while i < end:
        entry = &filter.entries[i]
        i += 1
        cost += 1
        if (word & entry.mask) != entry.want or at < entry.back:
            continue
        begin = filter.ends[entry.pattern - 1] if entry.pattern else 0
        size = filter.ends[entry.pattern] - begin
        if filter.widths > 1 and key_width(size - entry.back) != width:
            continue
        start = at - entry.back
        if start + size > length:
            continue
        if size > 8 or entry.back:
            cost += 1 + size // 16
            if not same_text(filter, data + start, length - start, filter.text + begin, size):
                continue
        hit.pattern = entry.pattern
        hit.start = <uint32_t> start
        hit.end = <uint32_t> (start + size)
        hits_push(out, hit)
        cost += 2
    return cost


cdef bint verify(const prefilter_t *filter, const uint8_t *data, size_t length, size_t lo,
                 size_t hi, size_t count, uint16_t *ends, hits_t *out) noexcept nogil:
    cdef size_t kept = 0, found, i, place, before = out.used
    # In steps of some 4 to 8 ns; a candidate that the screens below reject is a quarter of one.
    # Giving up early costs little, giving up late costs it all over again.
    cdef size_t cost = count // 4, most = (hi - lo) // filter.bytes_a_step + 64
    cdef uint64_t word
    cdef uint32_t h, k, widths = filter.widths
    cdef const uint32_t *head
    cdef const entry_t *entry
    # The screen reads nothing but text and 8 KB of bits, and does not branch on what it finds: a
    # branch would wait for the text. Most sets of literals have one width of keys, or two.
    for i in range(count):
        word = word_at(data, length, lo + ends[i] - WINDOW_REACH, filter.fold)
        found = 0
        for k in range(widths):
            h = hash_key(word & filter.key_masks[k])
            found |= (filter.screen[h >> (32 - SCREEN_BITS + 3)]
                      >> ((h >> (32 - SCREEN_BITS)) & 7)) & 1
        ends[kept] = ends[i]
        kept += found
    # Then up to 8 bytes of the one literal that may be there; where there are several, they are
    # looked at one by one below. No branch here either.
    count = kept
    kept = 0
    for i in range(count):
        word = word_at(data, length, lo + ends[i] - WINDOW_REACH, filter.fold)
        found = 0
        for k in range(widths):
            head = &filter.heads[hash_key(word & filter.key_masks[k]) >> filter.head_shift]
            entry = &filter.entries[head[0]]
            found |= ((word & entry.mask) == entry.want) | (head[1] - head[0] > 1)
        ends[kept] = ends[i]
        kept += found
    for i in range(kept):
        place = lo + ends[i] - WINDOW_REACH
        # A window that begins before the data has wrapped around.
        if place >= length or lo + ends[i] >= hi:
            continue
        word = word_at(data, length, place, filter.fold)
        for k in range(widths):
            cost += verify_window(filter, data, length, place, word,
                                  hash_key(word & filter.key_masks[k]),
                                  filter.key_widths[k], out)
        if cost > most:
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
                             min(length + WINDOW_REACH, lo + BLOCK_BYTES), ends)
        lo += BLOCK_BYTES
    return total


cdef int prefilter_build(prefilter_t *filter, uint8_t *text, size_t *ends, size_t patterns,
                         bint fold, const variant_t *variant,
                         const planned_t *planned) noexcept nogil:
    cdef int buckets = 8
    cdef size_t p
    filter.text = text
    filter.ends = ends
    filter.fold = fold
    filter.window = <uint32_t *> calloc(patterns + 1, sizeof(uint32_t))
    filter.tables = <uint8_t *> calloc(TABLE_BYTES, 1)
    if filter.window == NULL or filter.tables == NULL:
        return -1
    filter.find = variant.find
    filter.bytes_a_step = 12 if patterns < MANY_FOR_WALKING else 3
    if variant.find16 != NULL and patterns >= (
            MANY_FOR_PAIRS if variant.tables == TABLES_PAIRS else MANY_FOR_NIBBLES):
        buckets = 16
        filter.find = variant.find16
    if planned.tables != NULL and planned.kind == variant.tables and planned.buckets == buckets:
        memcpy(filter.tables, planned.tables, TABLE_BYTES)
        for p in range(patterns):
            filter.window[p] = planned.windows[p]
    elif plan_windows(filter, patterns, variant.tables, buckets) != 0:
        return -1
    return build_entries(filter, patterns)


# --- plans made ahead ---------------------------------------------------------------------------
# Planning some thousand literals takes a tenth of a second; a set of patterns that is known when a
# package is built can be planned then. The blob: kind, buckets, check sum of the patterns, tables,
# windows. It is used for those patterns only, where a variant wants that kind of tables.

cdef enum:
    PLAN_HEAD = 6


def plan_ahead(patterns, int kind, int buckets):
    """The plan of `patterns` for tables of `kind` (1 pairs, 2 nibbles) and 8 or 16 buckets."""
    cdef prefilter_t filter
    cdef bytes joined = b"".join(patterns)
    cdef size_t count = len(patterns), i, place = 0
    cdef int status = -1
    if kind not in (1, 2) or buckets not in (8, 16):
        raise ValueError(f"no tables of kind {kind} with {buckets} buckets")
    memset(&filter, 0, sizeof(filter))
    filter.text = <uint8_t *> calloc(len(joined) + PADDING, 1)
    filter.ends = <size_t *> malloc((count + 1) * sizeof(size_t))
    filter.window = <uint32_t *> calloc(count + 1, sizeof(uint32_t))
    filter.tables = <uint8_t *> calloc(TABLE_BYTES, 1)
    try:
        if (
            filter.text != NULL and filter.ends != NULL
            and filter.window != NULL and filter.tables != NULL
        ):
            memcpy(filter.text, <const uint8_t *> joined, len(joined))
            for i in range(count):
                place += len(patterns[i])
                filter.ends[i] = place
            status = plan_windows(&filter, count, kind, buckets)
        if status != 0:
            raise MemoryError(f"no room for the plan of {count} patterns")
        return (
            bytes((kind, buckets)) + patterns_sum(patterns)
            + (<char *> filter.tables)[:TABLE_BYTES]
            + bytes([filter.window[i] for i in range(count)])
        )
    finally:
        free(filter.text)
        free(filter.ends)
        free(filter.window)
        free(filter.tables)


def patterns_sum(patterns):
    """Four bytes that tell one set of patterns from another."""
    return zlib.crc32(b"\0".join(patterns)).to_bytes(4, "little")


cdef int read_plan(object plan, object patterns, planned_t *out) except -1:
    """What a blob of plan_ahead says, if it is one of these patterns; ValueError otherwise."""
    cdef bytes blob = plan
    if (
        len(blob) != PLAN_HEAD + TABLE_BYTES + len(patterns)
        or blob[2:PLAN_HEAD] != patterns_sum(patterns)
    ):
        raise ValueError("the plan was made for other patterns")
    if any(at >= len(text) for at, text in zip(blob[PLAN_HEAD + TABLE_BYTES:], patterns)):
        raise ValueError("damaged plan: a window outside its pattern")
    out.kind = blob[0]
    out.buckets = blob[1]
    out.tables = <const uint8_t *> blob + PLAN_HEAD
    out.windows = out.tables + TABLE_BYTES
    return 0


cdef void prefilter_free(prefilter_t *filter) noexcept nogil:
    free(filter.tables)
    free(filter.entries)
    free(filter.heads)
    free(filter.screen)
    free(filter.text)
    free(filter.ends)
    free(filter.window)
    memset(filter, 0, sizeof(prefilter_t))
