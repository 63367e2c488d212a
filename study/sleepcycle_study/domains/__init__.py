"""Domains: what can be taught, asked and graded."""
