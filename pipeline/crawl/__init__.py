"""The image crawler: a room of its own, usable alone. It knows nothing of Beam, posts or datasets."""
