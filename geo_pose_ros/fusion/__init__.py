"""From several views of one instant, and over time, to bodies: sync, association, solver, tracking."""
