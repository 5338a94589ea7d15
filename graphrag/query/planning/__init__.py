"""Planners: which relation paths a question asks for. One protocol, one file per way."""

from __future__ import annotations

from graphrag.query.planning.base import MASK, Plan, PlanFor, Planner, Planning, masked, step_text

__all__ = ["MASK", "Plan", "PlanFor", "Planner", "Planning", "masked", "step_text"]
