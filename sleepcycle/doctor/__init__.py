"""Checks of a home and its machine, each with its fix; the bug report."""
