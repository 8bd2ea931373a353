"""Which implementation of the scan is in use."""

cdef str chosen_variant(object forced)
