/* candidates: places where a literal's window may lie.

   Every literal has a window of reach + 2 bytes (fewer if it is shorter) and belongs to one of 8 or
   16 buckets. A table says for each of the window's reach + 1 features which buckets allow the value
   seen there; the AND over the features is not zero at a candidate. All windows are found, and some
   places that are none: verification follows.

   Contract of every variant's every look:
       size_t find(tables, data, length, lo, hi, ends)
   looks at window *ends* e in [lo, hi), where e - reach is the window's first byte. lo is a multiple
   of 64, hi is at most length + reach (the window of a literal of one byte starts at the last byte)
   and at most lo + CANDIDATES_BLOCK. It writes e - lo of every candidate, rising, to ends, which has
   room for CANDIDATES_BLOCK + 64 of them, and returns their number. Among them may be ends up to 63
   beyond hi, and ends of windows that would start before the data: the caller looks. No byte
   outside data[0:length) is read.

   Tables, made by windows.pyx:
       pairs:   uint8_t [buckets / 8][reach + 1][128], feature i by the lower seven bits of cell(i)
       nibbles: uint8_t [buckets / 8][reach + 1][2][16], by the low and the high nibble of cell(i)
   where cell(i) = 2 * byte i - byte (i + 1), modulo 256: two neighbouring bytes say far more than
   one, and this mix of them costs two instructions for 64 places.

   No variant needs more of the compiler than its own target attribute: nothing here is built with
   -march. */
#ifndef TOCSIN_CANDIDATES_H
#define TOCSIN_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How far the next lines are asked for ahead of their use. bench: quiet-400-dram. */
enum { PREFETCH_AHEAD = 8192 };

/* Tables, data and results of a block share the first cache with a literal's screen. */
enum { CANDIDATES_BLOCK = 16384, CANDIDATES_GROUPS = CANDIDATES_BLOCK / 64 };

typedef size_t (*candidates_fn)(const uint8_t *tables, const uint8_t *data, size_t length,
                                size_t lo, size_t hi, uint16_t *ends);

enum { TABLES_NONE = 0, TABLES_PAIRS = 1, TABLES_NIBBLES = 2 };

/* One way to look: the more literals, the more a look must tell apart, and the more it costs. */
typedef struct {
    int tables;
    int buckets;
    int reach;
    candidates_fn find;
    size_t many; /* it pays from so many literals on. bench: quiet-50, quiet-400, quiet-1000 */
} candidates_look;

enum { CANDIDATES_LOOKS = 3 };

typedef struct {
    const char *name;
    int (*usable)(void);
    candidates_look looks[CANDIDATES_LOOKS]; /* for ever more literals; those without find end them */
} candidates_variant;

static int usable_always(void) { return 1; }

/* The places of the set bits of n masks, of which mask g belongs to group at[g]. Four are written
   without asking how many there are: a loop that ends after one or two is mispredicted most times.
   Compiled anew for each variant, with its instructions for counting bits. */
static inline __attribute__((always_inline)) size_t
list_places(const uint64_t *masks, const uint16_t *at, size_t n, uint16_t *ends) {
    size_t count = 0;
    for (size_t g = 0; g < n; g++) {
        uint64_t mask = masks[g];
        uint16_t base = (uint16_t)(at[g] * 64), *to = ends + count;
        int bits = __builtin_popcountll(mask);
        count += (size_t)bits;
        for (int i = 0; i < 4; i++) {
            to[i] = (uint16_t)(base + (mask ? __builtin_ctzll(mask) : 0));
            mask &= mask - 1;
        }
        if (__builtin_expect(bits > 4, 0))
            for (to += 4; mask; mask &= mask - 1)
                *to++ = (uint16_t)(base + __builtin_ctzll(mask));
    }
    return count;
}

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>

#define TARGET_VBMI \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,lzcnt,popcnt")))

/* A set is eight buckets' worth of tables; 128 bytes, those of one feature, are two registers. */
#define PAIR_TABLE(set, i, features)                                                   \
    const __m512i lo##set##i = _mm512_loadu_si512(tables + 128 * (features * set + i)), \
                  hi##set##i = _mm512_loadu_si512(tables + 128 * (features * set + i) + 64);
#define PAIR_TABLES4(set) \
    PAIR_TABLE(set, 0, 4) PAIR_TABLE(set, 1, 4) PAIR_TABLE(set, 2, 4) PAIR_TABLE(set, 3, 4)
#define PAIR_TABLES5(set)                                                            \
    PAIR_TABLE(set, 0, 5) PAIR_TABLE(set, 1, 5) PAIR_TABLE(set, 2, 5) PAIR_TABLE(set, 3, 5) \
    PAIR_TABLE(set, 4, 5)
#define PAIR_LOOK(set, i, cells) _mm512_permutex2var_epi8(lo##set##i, cells, hi##set##i)
#define PAIR_ALLOWED4(set)                                                              \
    _mm512_and_si512(_mm512_ternarylogic_epi64(PAIR_LOOK(set, 3, cells),                \
                                               PAIR_LOOK(set, 2, back1),                \
                                               PAIR_LOOK(set, 1, back2), 0x80),         \
                     PAIR_LOOK(set, 0, back3))
#define PAIR_BACK4 __m512i back4 = _mm512_alignr_epi8(cells, lanes, 12);
#define PAIR_ALLOWED5(set)                                                              \
    _mm512_ternarylogic_epi64(                                                          \
        _mm512_ternarylogic_epi64(PAIR_LOOK(set, 4, cells), PAIR_LOOK(set, 3, back1),   \
                                  PAIR_LOOK(set, 2, back2), 0x80),                      \
        PAIR_LOOK(set, 1, back3), PAIR_LOOK(set, 0, back4), 0x80)
/* The cells are computed once for 64 places; for the features before the last they are moved up
   by 1, 2, 3, 4 bytes. That costs a register-to-register shuffle each, where loading the data again
   at an odd offset costs two cycles for the line it straddles. vpermi2b looks at 7 bits of a cell
   and so needs no mask. */
#define PAIR_GROUP(first, second, MORE, RESULT)                               \
    {                                                                         \
        __m512i x = (first), y = (second);                                    \
        __m512i cells = _mm512_sub_epi8(_mm512_add_epi8(x, x), y);            \
        __m512i lanes = _mm512_alignr_epi64(cells, before, 6);                \
        __m512i back1 = _mm512_alignr_epi8(cells, lanes, 15);                 \
        __m512i back2 = _mm512_alignr_epi8(cells, lanes, 14);                 \
        __m512i back3 = _mm512_alignr_epi8(cells, lanes, 13);                 \
        MORE                                                                  \
        before = cells;                                                       \
        __m512i allowed = (RESULT);                                           \
        uint64_t mask = _mm512_test_epi8_mask(allowed, allowed);              \
        masks[n] = mask;                                                      \
        at[n] = (uint16_t)((p - lo) >> 6);                                    \
        n += mask != 0;                                                       \
    }

/* The first `count` bytes from `from`, zeros after them; none is touched beyond. */
TARGET_VBMI static inline __m512i load_some(const uint8_t *from, size_t count) {
    return _mm512_maskz_loadu_epi8(count >= 64 ? ~(uint64_t)0 : _bzhi_u64(~(uint64_t)0, count),
                                   from);
}

#define PAIR_VARIANT(NAME, SETS, MORE, RESULT)                                                  \
    TARGET_VBMI static size_t NAME(const uint8_t *tables, const uint8_t *data, size_t length,   \
                                   size_t lo, size_t hi, uint16_t *ends) {                      \
        SETS                                                                                    \
        /* One more than there are groups: written before it is known whether to keep it. */    \
        uint64_t masks[CANDIDATES_GROUPS + 1];                                                  \
        uint16_t at[CANDIDATES_GROUPS + 1];                                                     \
        size_t n = 0, p = lo;                                                                   \
        __m512i before = _mm512_setzero_si512();                                                \
        if (lo >= 64) {                                                                         \
            __m512i x = load_some(data + lo - 64, length - (lo - 64));                          \
            __m512i y = load_some(data + lo - 63, length - (lo - 63));                          \
            before = _mm512_sub_epi8(_mm512_add_epi8(x, x), y);                                 \
        }                                                                                       \
        for (; p + 65 <= length && p < hi; p += 64) {                                           \
            _mm_prefetch((const char *)data + p + PREFETCH_AHEAD, _MM_HINT_T0);                 \
            PAIR_GROUP(_mm512_loadu_si512(data + p), _mm512_loadu_si512(data + p + 1), MORE,    \
                       RESULT)                                                                  \
        }                                                                                       \
        for (; p < hi; p += 64)                                                                 \
            PAIR_GROUP(load_some(data + p, length > p ? length - p : 0),                        \
                       load_some(data + p + 1, length > p + 1 ? length - p - 1 : 0), MORE,      \
                       RESULT)                                                                  \
        return n ? list_places(masks, at, n, ends) : 0;                                         \
    }

PAIR_VARIANT(candidates_avx512vbmi, PAIR_TABLES4(0), , PAIR_ALLOWED4(0))
PAIR_VARIANT(candidates16_avx512vbmi, PAIR_TABLES4(0) PAIR_TABLES4(1), ,
             _mm512_or_si512(PAIR_ALLOWED4(0), PAIR_ALLOWED4(1)))
PAIR_VARIANT(candidates16x5_avx512vbmi, PAIR_TABLES5(0) PAIR_TABLES5(1), PAIR_BACK4,
             _mm512_or_si512(PAIR_ALLOWED5(0), PAIR_ALLOWED5(1)))

#endif

/* Nibble tables: a shuffle of 16 bytes looks up 16 cells at once, so a cell is looked up as
   two nibbles, each with a table of its own. A pair of nibbles may be allowed that no literal
   has; twice the buckets make up for some of that. */

/* Bytes [at, at + count) of the data, zeros where there are none, in a buffer of `room` bytes. */
static inline const uint8_t *copy_some(uint8_t *buffer, size_t room, const uint8_t *data,
                                       size_t length, size_t at) {
    size_t count = at < length ? length - at : 0;
    memset(buffer, 0, room);
    memcpy(buffer, data + (count ? at : 0), count < room ? count : room);
    return buffer;
}

/* GROUP(tables, from, before) returns the mask of the 64 places from `from` on, of which it reads
   65 bytes; `before` holds the cells of the last register before them. CELLS(from) makes the cells
   of one register of WIDTH bytes, reading WIDTH + 1. */
#define NIBBLE_VARIANT(NAME, TARGET, REGISTER, WIDTH, CELLS, GROUP, SETS)                       \
    TARGET static size_t NAME(const uint8_t *tables, const uint8_t *data, size_t length,        \
                              size_t lo, size_t hi, uint16_t *ends) {                           \
        uint8_t buffer[80];                                                                     \
        uint64_t masks[CANDIDATES_GROUPS + 1];                                                  \
        uint16_t at[CANDIDATES_GROUPS + 1];                                                     \
        size_t n = 0, p = lo;                                                                   \
        REGISTER before = CELLS(lo < 64 ? copy_some(buffer, 80, data, 0, 0)                     \
                                        : copy_some(buffer, 80, data, length, lo - WIDTH));     \
        for (; p < hi; p += 64) {                                                               \
            const uint8_t *from = data + p;                                                     \
            if (p + 65 > length) from = copy_some(buffer, 80, data, length, p);                 \
            __builtin_prefetch(data + p + PREFETCH_AHEAD);                                      \
            uint64_t mask = GROUP(tables, from, &before, SETS);                                 \
            masks[n] = mask;                                                                    \
            at[n] = (uint16_t)((p - lo) >> 6);                                                  \
            n += mask != 0;                                                                     \
        }                                                                                       \
        return n ? list_places(masks, at, n, ends) : 0;                                         \
    }

#if defined(__x86_64__) || defined(__i386__)

#define TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#define TARGET_SSSE3 __attribute__((target("ssse3")))

TARGET_AVX2 static inline __m256i cells_avx2(const uint8_t *from) {
    __m256i x = _mm256_loadu_si256((const __m256i *)from);
    __m256i y = _mm256_loadu_si256((const __m256i *)(from + 1));
    return _mm256_sub_epi8(_mm256_add_epi8(x, x), y);
}

TARGET_AVX2 static inline __attribute__((always_inline)) uint32_t
half_avx2(const uint8_t *tables, __m256i cells, __m256i before, const int sets) {
    const __m256i nibble = _mm256_set1_epi8(0x0F);
    __m256i lanes = _mm256_permute2x128_si256(before, cells, 0x21);
    __m256i low[4] = {_mm256_alignr_epi8(cells, lanes, 13), _mm256_alignr_epi8(cells, lanes, 14),
                      _mm256_alignr_epi8(cells, lanes, 15), cells};
    __m256i high[4], allowed = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        high[i] = _mm256_and_si256(_mm256_srli_epi16(low[i], 4), nibble);
        low[i] = _mm256_and_si256(low[i], nibble);
    }
#pragma GCC unroll 2
    for (int set = 0; set < sets; set++) {
        __m256i all = _mm256_set1_epi8(-1);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const uint8_t *table = tables + 128 * set + 32 * i;
            __m256i a = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
            __m256i b = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table + 1));
            all = _mm256_and_si256(all, _mm256_shuffle_epi8(a, low[i]));
            all = _mm256_and_si256(all, _mm256_shuffle_epi8(b, high[i]));
        }
        allowed = _mm256_or_si256(allowed, all);
    }
    return ~(uint32_t)_mm256_movemask_epi8(
        _mm256_cmpeq_epi8(allowed, _mm256_setzero_si256()));
}

TARGET_AVX2 static inline __attribute__((always_inline)) uint64_t
group_avx2(const uint8_t *tables, const uint8_t *from, __m256i *before, const int sets) {
    __m256i first = cells_avx2(from), second = cells_avx2(from + 32);
    uint64_t mask = half_avx2(tables, first, *before, sets) |
                    (uint64_t)half_avx2(tables, second, first, sets) << 32;
    *before = second;
    return mask;
}

NIBBLE_VARIANT(candidates_avx2, TARGET_AVX2, __m256i, 32, cells_avx2, group_avx2, 1)
NIBBLE_VARIANT(candidates16_avx2, TARGET_AVX2, __m256i, 32, cells_avx2, group_avx2, 2)

TARGET_SSSE3 static inline __m128i cells_ssse3(const uint8_t *from) {
    __m128i x = _mm_loadu_si128((const __m128i *)from);
    __m128i y = _mm_loadu_si128((const __m128i *)(from + 1));
    return _mm_sub_epi8(_mm_add_epi8(x, x), y);
}

TARGET_SSSE3 static inline __attribute__((always_inline)) uint32_t
quarter_ssse3(const uint8_t *tables, __m128i cells, __m128i before, const int sets) {
    const __m128i nibble = _mm_set1_epi8(0x0F);
    __m128i low[4] = {_mm_alignr_epi8(cells, before, 13), _mm_alignr_epi8(cells, before, 14),
                      _mm_alignr_epi8(cells, before, 15), cells};
    __m128i high[4], allowed = _mm_setzero_si128();
    for (int i = 0; i < 4; i++) {
        high[i] = _mm_and_si128(_mm_srli_epi16(low[i], 4), nibble);
        low[i] = _mm_and_si128(low[i], nibble);
    }
#pragma GCC unroll 2
    for (int set = 0; set < sets; set++) {
        __m128i all = _mm_set1_epi8(-1);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            const __m128i *table = (const __m128i *)(tables + 128 * set + 32 * i);
            all = _mm_and_si128(all, _mm_shuffle_epi8(_mm_loadu_si128(table), low[i]));
            all = _mm_and_si128(all, _mm_shuffle_epi8(_mm_loadu_si128(table + 1), high[i]));
        }
        allowed = _mm_or_si128(allowed, all);
    }
    return 0xFFFF ^ (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(allowed, _mm_setzero_si128()));
}

TARGET_SSSE3 static inline __attribute__((always_inline)) uint64_t
group_ssse3(const uint8_t *tables, const uint8_t *from, __m128i *before, const int sets) {
    uint64_t mask = 0;
    for (int quarter = 0; quarter < 4; quarter++) {
        __m128i cells = cells_ssse3(from + 16 * quarter);
        mask |= (uint64_t)quarter_ssse3(tables, cells, *before, sets) << (16 * quarter);
        *before = cells;
    }
    return mask;
}

NIBBLE_VARIANT(candidates_ssse3, TARGET_SSSE3, __m128i, 16, cells_ssse3, group_ssse3, 1)
NIBBLE_VARIANT(candidates16_ssse3, TARGET_SSSE3, __m128i, 16, cells_ssse3, group_ssse3, 2)

/* __builtin_cpu_supports asks the processor and, through xgetbv, whether the system saves the
   registers. */
static int usable_avx512vbmi(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("bmi2");
}

static int usable_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
}

static int usable_ssse3(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("ssse3");
}
#endif

#if defined(__aarch64__)
#include <arm_neon.h>

#define TARGET_NEON

static inline uint8x16_t cells_neon(const uint8_t *from) {
    uint8x16_t x = vld1q_u8(from), y = vld1q_u8(from + 1);
    return vsubq_u8(vaddq_u8(x, x), y);
}

/* Which of 16 bytes are not zero, as 0xFF or 0. */
static inline __attribute__((always_inline)) uint8x16_t
quarter_neon(const uint8_t *tables, uint8x16_t cells, uint8x16_t before, const int sets) {
    const uint8x16_t nibble = vdupq_n_u8(0x0F);
    uint8x16_t at[4] = {vextq_u8(before, cells, 13), vextq_u8(before, cells, 14),
                        vextq_u8(before, cells, 15), cells};
    uint8x16_t allowed = vdupq_n_u8(0);
    for (int set = 0; set < sets; set++) {
        uint8x16_t all = vdupq_n_u8(0xFF);
        for (int i = 0; i < 4; i++) {
            const uint8_t *table = tables + 128 * set + 32 * i;
            all = vandq_u8(all, vqtbl1q_u8(vld1q_u8(table), vandq_u8(at[i], nibble)));
            all = vandq_u8(all, vqtbl1q_u8(vld1q_u8(table + 16), vshrq_n_u8(at[i], 4)));
        }
        allowed = vorrq_u8(allowed, all);
    }
    return vtstq_u8(allowed, allowed);
}

static inline __attribute__((always_inline)) uint64_t
group_neon(const uint8_t *tables, const uint8_t *from, uint8x16_t *before, const int sets) {
    static const uint8_t bit_of[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t bits = vld1q_u8(bit_of);
    uint8x16_t quarter[4];
    for (int i = 0; i < 4; i++) {
        uint8x16_t cells = cells_neon(from + 16 * i);
        quarter[i] = vandq_u8(quarter_neon(tables, cells, *before, sets), bits);
        *before = cells;
    }
    /* Three rounds of pairwise sums gather eight bits in a byte each, in order. */
    uint8x16_t sums = vpaddq_u8(vpaddq_u8(quarter[0], quarter[1]),
                                vpaddq_u8(quarter[2], quarter[3]));
    sums = vpaddq_u8(sums, sums);
    return vgetq_lane_u64(vreinterpretq_u64_u8(sums), 0);
}

NIBBLE_VARIANT(candidates_neon, TARGET_NEON, uint8x16_t, 16, cells_neon, group_neon, 1)
NIBBLE_VARIANT(candidates16_neon, TARGET_NEON, uint8x16_t, 16, cells_neon, group_neon, 2)
#endif

#define NIBBLE_LOOKS(variant)                           \
    {{TABLES_NIBBLES, 8, 3, candidates_##variant, 0},   \
     {TABLES_NIBBLES, 16, 3, candidates16_##variant, 100}}

/* Best first. "scalar" and "dfa" have no filter: they walk the automaton's table. */
static const candidates_variant candidates_variants[] = {
#if defined(__x86_64__) || defined(__i386__)
    {"avx512vbmi", usable_avx512vbmi,
     {{TABLES_PAIRS, 8, 3, candidates_avx512vbmi, 0},
      {TABLES_PAIRS, 16, 3, candidates16_avx512vbmi, 150},
      {TABLES_PAIRS, 16, 4, candidates16x5_avx512vbmi, 700}}},
    {"avx2", usable_avx2, NIBBLE_LOOKS(avx2)},
    {"ssse3", usable_ssse3, NIBBLE_LOOKS(ssse3)},
#endif
#if defined(__aarch64__)
    {"neon", usable_always, NIBBLE_LOOKS(neon)},
#endif
    {"scalar", usable_always, {{0}}},
    {"dfa", usable_always, {{0}}},
};
enum { CANDIDATES_VARIANTS = sizeof candidates_variants / sizeof *candidates_variants };

#endif
