"""Search strategies, a file each."""
