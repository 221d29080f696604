"""How long the dashboard's pages take over a large database."""
