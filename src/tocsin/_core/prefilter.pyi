"""No Python names: the filter is for the automaton."""
