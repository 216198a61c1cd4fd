"""The only code that moves a player: the loop, the moves, every forward pass, and the state that they change."""
