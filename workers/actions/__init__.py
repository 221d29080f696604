"""What people may do with refunds: what it would cause, asking for it, agreeing to it."""
