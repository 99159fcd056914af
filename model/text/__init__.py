"""Words and phrases: tokens, stems, and lines of keyphrases."""
