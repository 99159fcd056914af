"""What runs the work: Beam's runner and flags, helper processes, memory, file systems."""
