"""What a runtime executes as one: found by timing pairs of primitives (Zhang et al. 2021)."""

from .rules import FusionRules, Rule, Verdict, read_rules, rules_for

__all__ = ["FusionRules", "Rule", "Verdict", "read_rules", "rules_for"]
