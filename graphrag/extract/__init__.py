"""From text units to facts, and from facts to entities, predicates and reports."""
