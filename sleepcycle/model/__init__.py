"""Base and adapters: load, train, generate, score; only home of transformers, peft."""
