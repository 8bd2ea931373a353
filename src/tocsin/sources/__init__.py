"""Where console bytes come from."""
