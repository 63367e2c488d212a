"""Low-rank algebra on tensors alone; it knows no model, no file and no database."""
