"""Records: files that loggers, servers and stations write, read into readings of one buoy.

``formats.read_record`` recognises the format; each format has one module. ``text`` opens the file, ``columns``, ``units``,
``numbers``, ``times`` and ``zones`` understand what is in it, ``understood`` says how, and ``record`` holds the readings.
"""
