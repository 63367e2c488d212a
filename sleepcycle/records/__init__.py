"""Records: the frozen values that modules hand each other, and their JSON."""
