"""What can be taught, asked and graded."""
