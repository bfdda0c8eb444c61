"""How to reach a device: run a command, push and pull a file."""
