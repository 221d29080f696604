"""What payment providers say by themselves: a door that checks and keeps it, a translator that reads it."""
