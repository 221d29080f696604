"""One module a page: its routes, what it asks, what it shows."""
