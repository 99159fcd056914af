"""What §4 decides about posts, as plain functions without Beam."""
