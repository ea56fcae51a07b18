"""A Slurm cluster of real daemons on this machine, and the launcher on it: ``nox -s slurm``."""
