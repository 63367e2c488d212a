"""Speed and memory, compared with peers in one run."""
