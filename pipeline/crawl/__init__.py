"""The image crawler. It can be used alone: it does not depend on Beam, posts or datasets."""
