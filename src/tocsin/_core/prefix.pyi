"""No Python names: prefix parsing is for the other modules of the core."""
