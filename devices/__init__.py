"""Cards, state and transports of physical devices. Knows no runtime."""
