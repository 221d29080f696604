"""What crosses a topic: message types, their envelope and the catalogue of topics.

Anyone may depend on this package alone: it imports nothing of the workers.
"""
