"""What the doctor looks at, one file an idea; each check is a function of what was read."""
