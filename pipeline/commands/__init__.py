"""The commands of `python -m pipeline`, one module a group; `pipeline/cli.py` names them."""
