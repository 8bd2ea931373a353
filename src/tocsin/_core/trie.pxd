"""The textbook trie of Aho and Corasick: goto function, failure links, output links."""

from libc.stdint cimport uint8_t, uint32_t


cdef struct node_t:
    # First child and next sibling; 0 ends a list, because the root is nobody's child.
    uint32_t child
    uint32_t sibling
    # The node of the longest proper suffix of this node's string that is in the trie.
    uint32_t fail
    # First pattern that ends here, plus one; 0 if none does.
    uint32_t pattern
    # Nearest node on the chain of failure links where a pattern ends; 0 if there is none.
    uint32_t output
    uint8_t byte


cdef struct trie_t:
    node_t *nodes
    uint32_t used
    uint32_t room
    # The root's children by byte: the root is asked far more often than all others together.
    uint32_t root[256]
    # All nodes, breadth first: a node comes after its failure link. Made by trie_link().
    uint32_t *order
    # same[p]: the next pattern equal to p, plus one; 0 ends the list.
    uint32_t *same


# Each returns 0, or -1 if memory is out (or the trie would need more than 2**32 nodes).
cdef int trie_init(trie_t *trie, size_t patterns) noexcept nogil
# Patterns must be added in falling order of their number: equal ones then list in rising order.
cdef int trie_add(trie_t *trie, const uint8_t *text, size_t length,
                  uint32_t pattern) noexcept nogil
cdef int trie_link(trie_t *trie) noexcept nogil
cdef void trie_free(trie_t *trie) noexcept nogil
