"""The experiment: plans, arms, lives, exams and kept results."""
