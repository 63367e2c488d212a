"""Code as a domain."""
