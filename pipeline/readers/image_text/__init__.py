"""Sets of pictures with their texts: archives and folders in which `KEY.jpg` and `KEY.txt` or `.json` are a record."""
