"""The commands of `python -m model`, one module a group; `model/cli.py` names them."""
