"""Reading words in pictures with Tesseract."""
