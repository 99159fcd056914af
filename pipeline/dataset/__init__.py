"""The dataset folder: its tables, and the transaction in which every command changes it."""
