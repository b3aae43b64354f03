"""The data sets: what is here, downloading, deleting, looking at the images."""
