"""Facts as a domain."""
