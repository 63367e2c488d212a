"""The base model and its adapters; the only home of transformers and peft."""
