"""ERDDAP's grammar over the open data, so that its clients work unchanged: erddapy, rerddap, pandas."""
