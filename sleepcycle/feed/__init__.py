"""Feed: files in many shapes become examples, or rows with a reason why not."""
