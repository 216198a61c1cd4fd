"""The work of `ganneal data`: inspect, convert and download."""
