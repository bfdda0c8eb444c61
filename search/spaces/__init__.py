"""Search spaces, sized by YAML."""
