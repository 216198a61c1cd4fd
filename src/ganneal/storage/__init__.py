"""A run on disk: its directory, files of weights, JSON and pictures. Knows dictionaries, not experiments."""
