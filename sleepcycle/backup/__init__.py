"""Backup: a home as one file, back again, and rid of what nothing needs."""
