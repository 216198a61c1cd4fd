"""What `ganneal data` does: inspect, convert and download."""
