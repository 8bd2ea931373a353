/* Hyperscan through its C interface: pure literals, block mode, every match counted. */
#include <hs/hs.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static hs_database_t *database;
static hs_scratch_t *scratch;

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *context) {
    (void)id, (void)from, (void)to, (void)flags;
    ++*(uint64_t *)context;
    return 0;
}

int bench_build(const char *const *patterns, const size_t *lengths, unsigned count) {
    unsigned *flags = calloc(count, sizeof *flags), *ids = calloc(count, sizeof *ids);
    hs_compile_error_t *error = NULL;
    for (unsigned i = 0; i < count; i++) ids[i] = i;
    if (database) hs_free_database(database);
    database = NULL;
    int status = hs_compile_lit_multi(patterns, flags, ids, lengths, count, HS_MODE_BLOCK, NULL,
                                      &database, &error);
    free(flags);
    free(ids);
    if (status != HS_SUCCESS) return status;
    return hs_alloc_scratch(database, &scratch);
}

uint64_t bench_count(const char *data, size_t length) {
    uint64_t count = 0;
    hs_scan(database, data, (unsigned)length, 0, scratch, on_match, &count);
    return count;
}
