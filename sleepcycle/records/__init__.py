"""The frozen values that modules hand each other, and their JSON."""
