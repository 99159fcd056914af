"""Networks of timm, torchvision and open_clip as image features: how each is made, read and asked."""
