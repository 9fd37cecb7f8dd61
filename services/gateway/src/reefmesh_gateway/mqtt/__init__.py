"""The door over MQTT: the gateway is a client of an MQTT broker to which devices connect."""
