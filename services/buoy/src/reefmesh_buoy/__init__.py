"""The agent on a buoy: keeps measurements on its disk and sends them until they are confirmed.

Runs on Python 3.11 with the standard library; paho-mqtt and stomp.py only where the settings name these transports.
"""
