"""Room 4: what runs next to a deployment, or instead of it, and says how fast it was."""
