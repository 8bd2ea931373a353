/* Walk the dense table of an automaton over many places at once.

   A transition waits for the load of the one before it, some five cycles from the first cache and
   more from the next, and the processor is idle meanwhile. Eight walks at eight places of the data
   wait together. Each walk starts `lead` bytes before the part it answers for, from the start
   state: after longest - 1 bytes a walk knows every match that ends from there on.

   Contract: stream k (0..7) walks data[k * step .. k * step + length) from state 0 and writes
   (end, state) for each match state it is in; used[k] counts them. The caller drops what a stream
   has seen in its lead-in. events[k] has room for `length` events. */
#ifndef TOCSIN_WALK_H
#define TOCSIN_WALK_H

#include <stddef.h>
#include <stdint.h>

enum { WALK_STREAMS = 8 };

typedef struct {
    uint32_t end;   /* offset in the stream, after the last byte of the match */
    uint32_t state; /* premultiplied */
} walk_event_t;

#define WALK_STEP(k)                                                     \
    s##k = next[s##k + class_of[data[i + (k) * step]]];                  \
    if (__builtin_expect(s##k - 1 < match_span, 0)) {                    \
        walk_event_t *event = events + (k) * length + used[k]++;         \
        event->end = (uint32_t)(i + 1);                                  \
        event->state = s##k;                                             \
    }

static void walk_streams(const uint32_t *restrict next, const uint8_t *restrict class_of,
                         uint32_t match_span, const uint8_t *restrict data, size_t step,
                         size_t length, walk_event_t *restrict events, size_t *restrict used) {
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
    for (int k = 0; k < WALK_STREAMS; k++) used[k] = 0;
    for (size_t i = 0; i < length; i++) {
        WALK_STEP(0) WALK_STEP(1) WALK_STEP(2) WALK_STEP(3)
        WALK_STEP(4) WALK_STEP(5) WALK_STEP(6) WALK_STEP(7)
    }
}

#undef WALK_STEP
#endif
