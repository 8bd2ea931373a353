"""Where incidents go."""
