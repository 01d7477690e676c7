"""scikit-learn: materializers, steps and the digits data set."""
