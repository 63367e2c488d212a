"""Logic as a domain."""
