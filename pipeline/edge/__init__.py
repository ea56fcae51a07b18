"""Access to everything outside of the process: files, programs, processes, network, clock, GitHub."""
