"""Traces by OpenTelemetry: what becomes of one order event, across workers, to the provider and back.

`port` is what the workers call; nothing of OpenTelemetry is loaded before traces are on. See docs/traces.md.
"""
