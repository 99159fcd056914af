"""The bundled sample and the script that makes it. Nothing here is needed to build a dataset or to train."""
