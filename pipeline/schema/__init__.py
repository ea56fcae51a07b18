"""The language of the house: frozen, strict documents."""
