"""Errors, registry, config, artefacts, seeding: no domain words."""
