"""A record on its way into the mesh: for which buoy, what is known of it already, what quality control says of it."""
