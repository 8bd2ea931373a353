"""No Python names: the trie is for the other modules of the core."""
