"""The broker port and its engines: the only way in which services reach each other."""
