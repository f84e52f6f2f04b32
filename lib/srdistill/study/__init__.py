"""From runs to tables: profiles, cells and their store, provenance, tables, claims, figures, runner, report."""
