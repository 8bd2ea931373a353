/* Runs each nibble variant of this target against a plain loop over the same tables, with the data
   right before a page that may not be touched. Built and run by test_variants.py. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "candidates.h"

static uint64_t seed = 88172645463325252ull;

static uint32_t chance(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32);
}

static int allowed(const uint8_t *tables, const uint8_t *data, size_t length, size_t end, int set) {
    uint8_t all = 0xFF;
    for (int i = 0; i < 4; i++) {
        size_t at = end - 3 + i;
        uint8_t a = at < length ? data[at] : 0, b = at + 1 < length ? data[at + 1] : 0;
        uint8_t cell = (uint8_t)(2 * a - b);
        const uint8_t *table = tables + 128 * set + 32 * i;
        all &= table[cell & 15] & table[16 + (cell >> 4)];
    }
    return all != 0;
}

int main(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 4 * page, checked = 0, found = 0;
    uint8_t *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0);
    if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE) != 0) return 2;
    static uint8_t tables[256];
    static uint16_t ends[CANDIDATES_BLOCK + 64];
    for (int v = 0; v < CANDIDATES_VARIANTS; v++) {
        const candidates_variant *variant = &candidates_variants[v];
        if (variant->looks[0].tables != TABLES_NIBBLES || !variant->usable()) continue;
        for (int k = 0; k < CANDIDATES_LOOKS && variant->looks[k].find; k++) {
            const candidates_look *look = &variant->looks[k];
            int sets = look->buckets / 8;
            if (look->reach != 3) return 5;
            for (size_t length = 0; length <= 400; length++) {
                uint8_t *data = map + room - length;
                for (size_t i = 0; i < length; i++) data[i] = (uint8_t)chance();
                for (size_t i = 0; i < sizeof tables; i++)
                    tables[i] = (uint8_t)(chance() | chance());
                for (size_t lo = 0; lo < length + 3; lo += 128) {
                    size_t hi = lo + 128 < length + 3 ? lo + 128 : length + 3;
                    size_t n = look->find(tables, data, length, lo, hi, ends);
                    static uint8_t got[192];
                    memset(got, 0, sizeof got);
                    for (size_t i = 0; i < n; i++) {
                        if (i && ends[i] <= ends[i - 1]) return 4;
                        got[ends[i]] = 1;
                    }
                    for (size_t end = lo < 3 ? 3 : lo; end < hi; end++) {
                        int expected = allowed(tables, data, length, end, 0) ||
                                       (sets == 2 && allowed(tables, data, length, end, 1));
                        if (expected != got[end - lo]) {
                            printf("%s, %d sets: length %zu, end %zu: %d, expected %d\n",
                                   variant->name, sets, length, end, got[end - lo], expected);
                            return 1;
                        }
                        checked++;
                        found += expected;
                    }
                }
            }
        }
        printf("%s: ", variant->name);
    }
    if (found < 1000 || found + 1000 > checked) return 3;
    printf("candidates agree at %zu places, %zu of them set\n", checked, found);
    return 0;
}
