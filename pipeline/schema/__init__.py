"""The documents that pass between packages: frozen and strict."""
