"""Arithmetic as a domain."""
