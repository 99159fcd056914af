"""Posts one at a time, without Beam: text and features of pictures as a finished dataset has them."""
