"""How finished files are read again and again: large arrays where they lie, and checks that are remembered."""
