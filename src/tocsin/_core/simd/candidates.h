/* candidates: places where a literal's window may lie.

   Every literal has a window of SPAN = 5 bytes (fewer if it is shorter) and belongs to one of 8 or
   16 buckets. A table says for each of the window's features which buckets allow the value seen
   there; the AND over the features is not zero at a candidate. All windows are found, and some
   places that are none: verification follows.

   Contract of every variant:
       size_t find(tables, data, length, lo, hi, masks, at)
   looks at window *ends* e in [lo, hi), where e - 3 is the window's first byte. lo is a multiple of
   64 and hi is at most length + 3: the window of a literal of one byte starts at the last byte.
   For each group of 64 ends that has a candidate it writes masks[n], bit j for e = lo + 64 * at[n]
   + j, and at[n]; it returns n. Bits of ends outside [lo, hi) and of windows that start before the
   data may be set or not: the caller looks. No byte outside data[0:length) is read.

   Tables, made by prefilter.pyx:
       pairs:   uint8_t [buckets / 8][4][128], feature i = pair_cell(byte i, byte i + 1)
       nibbles: uint8_t [NIBBLES][16], the features named in nibble_features below

   No variant needs more of the compiler than its own target attribute: nothing here is built with
   -march. */
#ifndef TOCSIN_CANDIDATES_H
#define TOCSIN_CANDIDATES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How far the next lines are asked for ahead of their use. bench: quiet-400-dram. */
enum { PREFETCH_AHEAD = 4096 };

typedef size_t (*candidates_fn)(const uint8_t *tables, const uint8_t *data, size_t length,
                                size_t lo, size_t hi, uint64_t *masks, uint32_t *at);

enum { TABLES_NONE = 0, TABLES_PAIRS = 1, TABLES_NIBBLES = 2 };

typedef struct {
    const char *name;
    int (*usable)(void);
    int tables;
    candidates_fn find;   /* 8 buckets */
    candidates_fn find16; /* 16 buckets, or NULL */
} candidates_variant;

static int usable_always(void) { return 1; }

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>

#define TARGET_VBMI \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,lzcnt,popcnt")))

/* Two buckets' worth of tables for the four features; 128 bytes are two registers. */
#define PAIR_TABLES(set)                                               \
    const __m512i lo##set##0 = _mm512_loadu_si512(tables + 512 * set), \
                  hi##set##0 = _mm512_loadu_si512(tables + 512 * set + 64),  \
                  lo##set##1 = _mm512_loadu_si512(tables + 512 * set + 128), \
                  hi##set##1 = _mm512_loadu_si512(tables + 512 * set + 192), \
                  lo##set##2 = _mm512_loadu_si512(tables + 512 * set + 256), \
                  hi##set##2 = _mm512_loadu_si512(tables + 512 * set + 320), \
                  lo##set##3 = _mm512_loadu_si512(tables + 512 * set + 384), \
                  hi##set##3 = _mm512_loadu_si512(tables + 512 * set + 448);
#define PAIR_LOOK(set, i, cells) _mm512_permutex2var_epi8(lo##set##i, cells, hi##set##i)
#define PAIR_ALLOWED(set)                                                               \
    _mm512_and_si512(_mm512_ternarylogic_epi64(PAIR_LOOK(set, 3, cells),                \
                                               PAIR_LOOK(set, 2, back1),                \
                                               PAIR_LOOK(set, 1, back2), 0x80),         \
                     PAIR_LOOK(set, 0, back3))
/* The cells are computed once for 64 places; for the features before the last they are moved up
   by 1, 2, 3 bytes. That costs a register-to-register shuffle each, where loading the data again
   at an odd offset costs two cycles for the line it straddles. vpermi2b looks at 7 bits of a cell
   and so needs no mask. */
#define PAIR_GROUP(first, second, RESULT)                                     \
    {                                                                         \
        __m512i x = (first), y = (second);                                    \
        __m512i cells = _mm512_sub_epi8(_mm512_add_epi8(x, x), y);            \
        __m512i lanes = _mm512_alignr_epi64(cells, before, 6);                \
        __m512i back1 = _mm512_alignr_epi8(cells, lanes, 15);                 \
        __m512i back2 = _mm512_alignr_epi8(cells, lanes, 14);                 \
        __m512i back3 = _mm512_alignr_epi8(cells, lanes, 13);                 \
        before = cells;                                                       \
        __m512i allowed = (RESULT);                                           \
        uint64_t mask = _mm512_test_epi8_mask(allowed, allowed);              \
        masks[n] = mask;                                                      \
        at[n] = (uint32_t)((p - lo) >> 6);                                    \
        n += mask != 0;                                                       \
    }

/* The first `count` bytes from `from`, zeros after them; none is touched beyond. */
TARGET_VBMI static inline __m512i load_some(const uint8_t *from, size_t count) {
    return _mm512_maskz_loadu_epi8(count >= 64 ? ~(uint64_t)0 : _bzhi_u64(~(uint64_t)0, count),
                                   from);
}

#define PAIR_VARIANT(NAME, SETS, RESULT)                                                        \
    TARGET_VBMI static size_t NAME(const uint8_t *tables, const uint8_t *data, size_t length,   \
                                   size_t lo, size_t hi, uint64_t *masks, uint32_t *at) {       \
        SETS                                                                                    \
        size_t n = 0, p = lo;                                                                   \
        __m512i before = _mm512_setzero_si512();                                                \
        if (lo >= 64) {                                                                         \
            __m512i x = load_some(data + lo - 64, length - (lo - 64));                              \
            __m512i y = load_some(data + lo - 63, length - (lo - 63));                          \
            before = _mm512_sub_epi8(_mm512_add_epi8(x, x), y);                                 \
        }                                                                                       \
        for (; p + 65 <= length && p < hi; p += 64) {                                           \
            _mm_prefetch((const char *)data + p + PREFETCH_AHEAD, _MM_HINT_T0);                 \
            PAIR_GROUP(_mm512_loadu_si512(data + p), _mm512_loadu_si512(data + p + 1), RESULT)  \
        }                                                                                       \
        for (; p < hi; p += 64)                                                                 \
            PAIR_GROUP(load_some(data + p, length > p ? length - p : 0),                        \
                       load_some(data + p + 1, length > p + 1 ? length - p - 1 : 0), RESULT)    \
        return n;                                                                               \
    }

PAIR_VARIANT(candidates_avx512vbmi, PAIR_TABLES(0), PAIR_ALLOWED(0))
PAIR_VARIANT(candidates16_avx512vbmi, PAIR_TABLES(0) PAIR_TABLES(1),
             _mm512_or_si512(PAIR_ALLOWED(0), PAIR_ALLOWED(1)))

/* __builtin_cpu_supports asks the processor and, through xgetbv, whether the system saves the
   registers. */
static int usable_avx512vbmi(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
           __builtin_cpu_supports("bmi2");
}
#endif

/* Best first. "scalar" and "dfa" have no filter: they walk the automaton's table. */
static const candidates_variant candidates_variants[] = {
#if defined(__x86_64__) || defined(__i386__)
    {"avx512vbmi", usable_avx512vbmi, TABLES_PAIRS, candidates_avx512vbmi,
     candidates16_avx512vbmi},
#endif
    {"scalar", usable_always, TABLES_NONE, NULL, NULL},
    {"dfa", usable_always, TABLES_NONE, NULL, NULL},
};
enum { CANDIDATES_VARIANTS = sizeof candidates_variants / sizeof *candidates_variants };

#endif
