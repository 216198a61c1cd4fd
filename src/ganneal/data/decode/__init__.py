"""From encoded images in folders and archives to arrays of pixels."""
