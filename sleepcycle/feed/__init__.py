"""The door: files in many shapes become examples, or rows with a reason why not."""
