"""Engines: where a run folder is computed."""
