"""The paper's network (§3.2-3.4) and those it is compared with."""
