"""Where the time of a whole network goes: one figure for everything that its runtime executes."""
