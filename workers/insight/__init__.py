"""What operators ask of a running Annul: whether it holds to its rules, what became of an order, what got stuck."""
