"""Scripts that make what the package carries: the embedded base, config.toml."""
