"""The other ends of the measurements: the same for all libraries, and faster than any of them."""
