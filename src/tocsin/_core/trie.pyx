"""The textbook trie of Aho and Corasick: goto function, failure links, output links.

Nodes lie in one array and name each other by index; the root is node 0. This is what the dense
table of automaton.pyx is derived from; nothing is searched with it.
"""

from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset


cdef int trie_init(trie_t *trie, size_t patterns) noexcept nogil:
    memset(trie, 0, sizeof(trie_t))
    trie.room = 1024
    trie.nodes = <node_t *> malloc(trie.room * sizeof(node_t))
    trie.same = <uint32_t *> calloc(patterns + 1, sizeof(uint32_t))
    if trie.nodes == NULL or trie.same == NULL:
        trie_free(trie)
        return -1
    memset(&trie.nodes[0], 0, sizeof(node_t))
    trie.used = 1
    return 0


cdef void trie_free(trie_t *trie) noexcept nogil:
    free(trie.nodes)
    free(trie.order)
    free(trie.same)
    memset(trie, 0, sizeof(trie_t))


cdef inline uint32_t child_of(const trie_t *trie, uint32_t node, uint8_t byte) noexcept nogil:
    cdef uint32_t child
    if node == 0:
        return trie.root[byte]
    child = trie.nodes[node].child
    while child != 0 and trie.nodes[child].byte != byte:
        child = trie.nodes[child].sibling
    return child


cdef int trie_add(trie_t *trie, const uint8_t *text, size_t length,
                  uint32_t pattern) noexcept nogil:
    cdef uint32_t node = 0, child
    cdef size_t i, room
    cdef node_t *grown
    for i in range(length):
        child = child_of(trie, node, text[i])
        if child == 0:
            if trie.used == trie.room:
                room = <size_t> trie.room * 2
                if room > UINT32_MAX:
                    return -1
                grown = <node_t *> realloc(trie.nodes, room * sizeof(node_t))
                if grown == NULL:
                    return -1
                trie.nodes = grown
                trie.room = <uint32_t> room
            child = trie.used
            trie.used += 1
            memset(&trie.nodes[child], 0, sizeof(node_t))
            trie.nodes[child].byte = text[i]
            trie.nodes[child].sibling = trie.nodes[node].child
            trie.nodes[node].child = child
            if node == 0:
                trie.root[text[i]] = child
        node = child
    trie.same[pattern] = trie.nodes[node].pattern
    trie.nodes[node].pattern = pattern + 1
    return 0


cdef int trie_link(trie_t *trie) noexcept nogil:
    cdef uint32_t head = 0, tail = 1, node, child, fail, found
    trie.order = <uint32_t *> malloc(<size_t> trie.used * sizeof(uint32_t))
    if trie.order == NULL:
        return -1
    trie.order[0] = 0
    while head < tail:
        node = trie.order[head]
        head += 1
        child = trie.nodes[node].child
        while child != 0:
            trie.order[tail] = child
            tail += 1
            # A child of the root has no proper suffix but the empty string: the root.
            found = 0
            fail = node
            while found == 0 and fail != 0:
                fail = trie.nodes[fail].fail
                found = child_of(trie, fail, trie.nodes[child].byte)
            trie.nodes[child].fail = found
            trie.nodes[child].output = (
                found if trie.nodes[found].pattern != 0 else trie.nodes[found].output)
            child = trie.nodes[child].sibling
    return 0
