"""Everything of `detectron2_objects` that speaks detectron2."""
