"""The parts of `detectron2_objects` that use detectron2's own interfaces."""
