"""Watching live: streams that never end, alarms that must arrive, state that survives."""
