"""The corridor: which rooms, in which order. Files are read and written here; nothing is decided here."""
