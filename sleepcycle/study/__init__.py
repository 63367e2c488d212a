"""The study: phases, dimensions and arms of the article, and what came of each."""
