"""Files of many formats become examples, or bad rows with the reason."""
