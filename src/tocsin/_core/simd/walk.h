/* Walk the dense table of an automaton over many places at once.

   A transition waits for the load of the one before it, some five cycles from the first cache and
   more from the next, and the processor is idle meanwhile. Eight walks at eight places of the data
   wait together. Each walk starts `lead` bytes before the part it answers for, from the start
   state: after longest - 1 bytes a walk knows every match that ends from there on.

   Contract: stream k (0..7) walks data[k * step .. k * step + length) from state 0.
   walk_streams writes (end, state) for each match state it is in; used[k] counts them. The caller
   drops what a stream has seen in its lead-in. events[k] has room for `length` events.
   walk_counting adds up the number in the match states' last column, from `lead` bytes on.
   walk_counting_many does the same where there is a match in every line: a branch on it would be
   mispredicted, and all eight walks would wait. Only states with several matches,
   s - 1 < several_span, have one there. */
#ifndef TOCSIN_WALK_H
#define TOCSIN_WALK_H

#include <stddef.h>
#include <stdint.h>

enum { WALK_STREAMS = 8 };

typedef struct {
    uint32_t end;   /* offset in the stream, after the last byte of the match */
    uint32_t state; /* premultiplied */
} walk_event_t;

#define WALK_EIGHT(STEP) STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
#define WALK_STEP(k) s##k = next[s##k + class_of[data[i + (k) * step]]];
#define WALK_NOTE(k)                                                     \
    WALK_STEP(k)                                                         \
    if (__builtin_expect(s##k - 1 < match_span, 0)) {                    \
        walk_event_t *event = events + (k) * length + used[k]++;         \
        event->end = (uint32_t)(i + 1);                                  \
        event->state = s##k;                                             \
    }
#define WALK_COUNT(k)                                                    \
    WALK_STEP(k)                                                         \
    if (__builtin_expect(s##k - 1 < match_span, 0)) total += next[s##k + last];
#define WALK_COUNT_MANY(k)                                               \
    WALK_STEP(k)                                                         \
    total += s##k - 1 < match_span;                                      \
    if (__builtin_expect(s##k - 1 < several_span, 0)) total += next[s##k + last] - 1;
/* Eight streams are more than the processor's own prefetcher follows over the end of a part: each
   asks for the place where it, or its like, will begin in the next one. */
#define WALK_ASK(k) __builtin_prefetch(data + i + (8 + (k)) * step);

static void walk_streams(const uint32_t *restrict next, const uint8_t *restrict class_of,
                         uint32_t match_span, const uint8_t *restrict data, size_t step,
                         size_t length, walk_event_t *restrict events, size_t *restrict used) {
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (int k = 0; k < WALK_STREAMS; k++) used[k] = 0;
    for (size_t i = 0; i < length;) {
        size_t stop = length - i < 64 ? length : i + 64;
        WALK_EIGHT(WALK_ASK)
        for (; i < stop; i++) { WALK_EIGHT(WALK_NOTE) }
    }
}

#define WALK_COUNTING(NAME, COUNT)                                                               \
    static size_t NAME(const uint32_t *restrict next, const uint8_t *restrict class_of,         \
                       uint32_t match_span, uint32_t several_span,                              \
                       const uint8_t *restrict data, size_t step, size_t length, size_t lead,   \
                       size_t last) {                                                           \
        uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;                \
        size_t total = 0, i = 0;                                                                \
        (void)several_span;                                                                     \
        for (; i < lead; i++) { WALK_EIGHT(WALK_STEP) }                                         \
        while (i < length) {                                                                    \
            size_t stop = length - i < 64 ? length : i + 64;                                    \
            WALK_EIGHT(WALK_ASK)                                                                \
            for (; i < stop; i++) { WALK_EIGHT(COUNT) }                                         \
        }                                                                                       \
        return total;                                                                           \
    }

WALK_COUNTING(walk_counting, WALK_COUNT)
WALK_COUNTING(walk_counting_many, WALK_COUNT_MANY)

#undef WALK_EIGHT
#undef WALK_STEP
#undef WALK_NOTE
#undef WALK_COUNT
#undef WALK_COUNT_MANY
#undef WALK_COUNTING
#undef WALK_ASK
#endif
