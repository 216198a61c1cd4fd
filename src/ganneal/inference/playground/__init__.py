"""A page to play with a trained generator: `drawing` makes the pictures, `page`, which needs gradio, shows them."""
