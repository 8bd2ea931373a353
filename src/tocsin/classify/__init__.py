"""From a closed trace to an incident: what it is called, how bad it is, what its fields are."""
