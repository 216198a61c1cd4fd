"""Layers and rules that several families of networks share."""
