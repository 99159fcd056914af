"""Labels ranked without a network: TF-IDF, kernel ridge regression and label features."""
