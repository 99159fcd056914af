"""What every case of `make bench` shares: processes measured whole, sides taking turns, answers compared, a table."""
