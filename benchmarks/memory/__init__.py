"""Memory benchmark: lessons in sequence, learned and slept on in several ways."""
