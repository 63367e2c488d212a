"""Plans, arms, lives, exams and kept results."""
