"""The benchmark of forgetting: lessons learned in turn, in every way."""
