"""Room 3: a deployment comes up, lends its endpoint, and goes down again."""
