"""The plan of least grams under a user's constraints: exactly by the planner where it can, else by a linear program."""

from scheduler.constrained.planning import Budgets, ConstrainedPlan, plan_constrained

__all__ = ["Budgets", "ConstrainedPlan", "plan_constrained"]
