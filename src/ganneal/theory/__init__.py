"""Exact statements on small cases: what the divergences and the generator's gradients are, without a network."""
