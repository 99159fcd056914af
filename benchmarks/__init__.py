"""What we time, against what. A package, because pyarrow 17 installs one of the same name."""
