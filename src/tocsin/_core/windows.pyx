"""Which bytes a literal is recognised by: one rare window of each, and a bucket.

A literal need not be recognised by its first bytes: "BUG: soft lockup" is better recognised by
"ft lo". plan_windows() gives each literal a window and a bucket, so that few places of ordinary
text pass the byte tables of simd/candidates.h, and writes the tables. It is right whatever it
chooses; how well it chooses is a matter of speed alone.
"""

from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from tocsin._core.variant cimport TABLES_PAIRS, candidates_look


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


cdef struct feature_t:
    # 0: seven bits of the cell of this byte and the next; 1: its low nibble; 2: its high one.
    int kind
    # Which byte of the window.
    int offset


cdef struct plan_t:
    int features
    int buckets
    int cells
    # Bytes of a window.
    size_t span
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
    most = length - plan.span if length > plan.span else 0
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


cdef int plan_windows(const uint8_t *text, const size_t *ends, size_t patterns, bint fold,
                      const candidates_look *look, int turns, uint32_t *window,
                      uint8_t *tables) noexcept nogil:
    cdef plan_t *plan = <plan_t *> calloc(1, sizeof(plan_t))
    cdef int *bucket = <int *> malloc((patterns + 1) * sizeof(int))
    cdef uint32_t *order = <uint32_t *> malloc((patterns + 1) * sizeof(uint32_t))
    cdef int status = -1, i, b, cell, turn
    cdef size_t p, k, length, begin, used
    if plan != NULL and bucket != NULL and order != NULL:
        plan.fold = fold
        plan.buckets = look.buckets
        plan.span = look.reach + 2
        if look.tables == TABLES_PAIRS:
            plan.features = look.reach + 1
            plan.cells = 128
            for i in range(plan.features):
                plan.feature[i].kind = 0
                plan.feature[i].offset = i
        else:
            plan.features = 2 * (look.reach + 1)
            plan.cells = 16
            for i in range(plan.features):
                plan.feature[i].kind = 1 + (i & 1)
                plan.feature[i].offset = i >> 1
        status = plan_sample(plan)
    if status == 0:
        # The shortest first: they have no choice, the others can keep out of their way.
        used = 0
        for length in range(1, 17):
            for p in range(patterns):
                k = ends[p] - (ends[p - 1] if p else 0)
                if k == length or (length == 16 and k > 16):
                    order[used] = <uint32_t> p
                    used += 1
        # A second turn lets those that came early look again.
        for turn in range(turns):
            for k in range(used):
                p = order[k]
                begin = ends[p - 1] if p else 0
                place_pattern(plan, text + begin, ends[p] - begin, &window[p], &bucket[p],
                              turn > 0)
        for b in range(plan.buckets):
            for i in range(plan.features):
                for cell in range(plan.cells):
                    if plan.allowed[b][i][cell]:
                        tables[((b >> 3) * plan.features + i) * plan.cells + cell] |= (
                            <uint8_t> (1 << (b & 7)))
    plan_free(plan)
    free(bucket)
    free(order)
    return status
