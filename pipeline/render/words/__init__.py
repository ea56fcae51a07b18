"""Every sentence of a report, made from its findings. Headlines are plain text; all else is inline Markdown."""
