"""A run from claim to commit: prepare, start, publish, recover, resume, retry."""
