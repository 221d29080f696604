"""PostgreSQL: the pool, named SQL, migrations and the set-based writes of what was decided."""
