"""Every sentence of a report, made from its findings. Headlines are plain text.

All else is inline Markdown.
"""
