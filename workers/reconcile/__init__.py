"""Reconciliation: the providers' word held against ours. It finds, asks and tells; it never changes a refund."""
