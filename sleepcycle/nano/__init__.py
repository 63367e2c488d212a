"""The embedded base model `builtin:nano`: its weights, tokenizer and card."""
