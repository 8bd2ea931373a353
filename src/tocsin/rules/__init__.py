"""Rules are data: TOML families, checked rows, and the tables the core runs on."""
