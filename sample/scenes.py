"""Scenes without a word in them: six that decide a hashtag, and neutral ones that decide nothing."""

import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from m3h.sample.draw import SIZE, blend, fall, hsv, smooth_noise, to_image

WIDTH, HEIGHT = SIZE


def sunset(rng: random.Random) -> Image.Image:
    """A low sun in an orange sky over a dark shore."""
    high, low = hsv(rng.uniform(0.96, 1.02), 0.85, 0.75), hsv(rng.uniform(0.08, 0.12), 0.9, 1.0)
    clouds = smooth_noise(rng, WIDTH, HEIGHT, 32) * rng.uniform(5, 18)
    image = to_image(blend(high, low, fall(WIDTH, HEIGHT)) + clouds[..., None])
    draw = ImageDraw.Draw(image)
    x, horizon, radius = rng.randint(40, WIDTH - 40), rng.randint(125, 155), rng.randint(16, 30)
    y = horizon - rng.randint(0, 40)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=hsv(0.14, rng.uniform(0.2, 0.5), 1.0))
    draw.rectangle((0, horizon, WIDTH, HEIGHT), fill=hsv(rng.uniform(0.0, 0.06), 0.7, rng.uniform(0.15, 0.3)))
    for row in range(horizon + 3, HEIGHT, 7):
        half = rng.randint(radius // 2, radius)
        draw.line((x - half, row, x + half, row), fill=low, width=2)
    return image


def forest(rng: random.Random) -> Image.Image:
    """Dark trunks in front of green leaves."""
    green = hsv(rng.uniform(0.30, 0.38), 0.8, rng.uniform(0.28, 0.4))
    leaves = smooth_noise(rng, WIDTH, HEIGHT, 8) * 30 + smooth_noise(rng, WIDTH, HEIGHT, 4) * 18
    image = to_image(blend(green, hsv(0.33, 0.9, 0.15), fall(WIDTH, HEIGHT)) + leaves[..., None] * (0.5, 1.0, 0.4))
    draw = ImageDraw.Draw(image)
    x = rng.randint(0, 20)
    while x < WIDTH:
        wide = rng.randint(7, 16)
        lean = rng.randint(-5, 5)
        bark = hsv(rng.uniform(0.05, 0.09), 0.6, rng.uniform(0.1, 0.22))
        draw.polygon([(x, HEIGHT), (x + wide, HEIGHT), (x + wide + lean - 2, 0), (x + lean + 2, 0)], fill=bark)
        x += wide + rng.randint(14, 34)
    return image


def waves(rng: random.Random) -> Image.Image:
    """Rows of blue swell with white foam on them."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    bend = rng.uniform(4, 9) * np.sin(columns / rng.uniform(18, 32) + rng.uniform(0, 6))
    swell = np.sin((rows + bend) / rng.uniform(4.5, 6.5) + rng.uniform(0, 6))
    blue = blend(hsv(rng.uniform(0.52, 0.60), 0.75, 0.8), hsv(0.6, 0.95, rng.uniform(0.4, 0.55)), fall(WIDTH, HEIGHT))
    foam = (swell + 0.5 * smooth_noise(rng, WIDTH, HEIGHT, 16) > rng.uniform(0.85, 1.0))[..., None]
    return to_image(np.where(foam, 240.0, blue + 22 * swell[..., None])).filter(ImageFilter.GaussianBlur(0.7))


def city(rng: random.Random) -> Image.Image:
    """Towers at night, some of their windows lit."""
    image = to_image(blend(hsv(0.68, 0.8, 0.06), hsv(rng.uniform(0.66, 0.78), 0.7, 0.28), fall(WIDTH, HEIGHT)))
    draw = ImageDraw.Draw(image)
    x = -rng.randint(0, 15)
    while x < WIDTH:
        wide, top = rng.randint(26, 48), rng.randint(15, 95)
        draw.rectangle((x, top, x + wide, HEIGHT), fill=hsv(0.65, 0.4, rng.uniform(0.05, 0.1)))
        lamp = hsv(rng.uniform(0.09, 0.16), rng.uniform(0.3, 0.7), 1.0)
        for column in range(x + 4, x + wide - 5, 8):
            for row in range(top + 5, HEIGHT - 5, 10):
                if rng.random() < 0.6:
                    draw.rectangle((column, row, column + 3, row + 5), fill=lamp)
        x += wide + rng.randint(2, 6)
    return image


def flowers(rng: random.Random) -> Image.Image:
    """A bright meadow full of blossoms, larger towards the front."""
    meadow = hsv(rng.uniform(0.24, 0.30), 0.75, rng.uniform(0.6, 0.75))
    image = to_image(blend(meadow, hsv(0.28, 0.8, 0.55), fall(WIDTH, HEIGHT)))
    draw = ImageDraw.Draw(image)
    hue = rng.uniform(0.84, 0.95)
    for row in range(2, HEIGHT, 9):
        radius = 3 + row * 5 // HEIGHT
        for _ in range(26 - radius):
            x, y = rng.randint(0, WIDTH), row + rng.randint(-3, 3)
            petal = hsv(hue + rng.uniform(-0.05, 0.05), rng.uniform(0.5, 0.85), 1.0)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=petal)
            draw.point((x, y), fill=(255, 220, 40))
    return image


def mountain(rng: random.Random) -> Image.Image:
    """White peaks under a pale sky."""
    image = to_image(blend(hsv(rng.uniform(0.54, 0.58), 0.3, 0.95), (240, 244, 248), fall(WIDTH, HEIGHT)))
    draw = ImageDraw.Draw(image)
    for depth in range(3):
        for _ in range(3):
            x, peak, half = rng.randint(0, WIDTH), rng.randint(25, 60) + depth * 30, rng.randint(60, 110)
            grey = rng.randint(150, 180) + depth * 12
            draw.polygon([(x - half, HEIGHT), (x, peak), (x + half, HEIGHT)], fill=(grey, grey + 6, grey + 14))
            draw.polygon([(x - half, HEIGHT), (x, peak), (x + half // 5, HEIGHT)], fill=(250, 252, 255))
    return image


def gradient(rng: random.Random) -> Image.Image:
    """Neutral: one soft colour runs into another."""
    first, second = (hsv(rng.random(), rng.uniform(0.2, 0.7), rng.uniform(0.4, 0.95)) for _ in range(2))
    turn = fall(WIDTH, HEIGHT) if rng.random() < 0.5 else fall(HEIGHT, WIDTH).T
    return to_image(blend(first, second, turn) + smooth_noise(rng, WIDTH, HEIGHT, 48)[..., None] * 12)


def blobs(rng: random.Random) -> Image.Image:
    """Neutral: blurred shapes of any colour."""
    image = Image.new("RGB", SIZE, hsv(rng.random(), rng.uniform(0.1, 0.6), rng.uniform(0.3, 0.95)))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(4, 9)):
        x, y, radius = rng.randint(0, WIDTH), rng.randint(0, HEIGHT), rng.randint(18, 60)
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape((x - radius, y - radius, x + radius, y + radius), fill=hsv(rng.random(), rng.uniform(0.2, 0.8), 0.85))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(6, 14)))


SCENES: dict[str, Callable[[random.Random], Image.Image]] = {
    "goldensunset": sunset,
    "deepforest": forest,
    "oceanwaves": waves,
    "citylights": city,
    "flowerfield": flowers,
    "snowymountain": mountain,
}


def neutral(rng: random.Random) -> Image.Image:
    """A picture that says nothing about any hashtag."""
    return rng.choice((gradient, blobs))(rng)
