"""Open data: the datasets, what of them is asked for, and the files that carry it."""
