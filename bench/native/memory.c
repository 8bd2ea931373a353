/* How fast this memory can be read at all: the limit every scanner runs into. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
uint64_t
read_all(const uint8_t *data, size_t length) {
    uint64_t a[32] = {0};
    size_t i = 0;
    for (; i + sizeof a <= length; i += sizeof a) {
        __builtin_prefetch(data + i + 4096);
        __builtin_prefetch(data + i + 4160);
        __builtin_prefetch(data + i + 4224);
        __builtin_prefetch(data + i + 4288);
        for (int k = 0; k < 32; k++) {
            uint64_t word;
            memcpy(&word, data + i + 8 * k, 8);
            a[k] |= word;
        }
    }
    for (int k = 1; k < 32; k++) a[0] |= a[k];
    for (; i < length; i++) a[0] |= data[i];
    return a[0];
}
