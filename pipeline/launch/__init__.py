"""Launchers: start a deployment, yield its endpoint, and stop it."""
