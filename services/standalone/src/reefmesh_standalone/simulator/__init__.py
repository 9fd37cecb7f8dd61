"""A fleet of buoys that is not there: the water, the devices, and everything that goes wrong at sea."""
