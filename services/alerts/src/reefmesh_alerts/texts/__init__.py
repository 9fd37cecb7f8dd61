"""What people read: the texts of alerts and digests, from the alert and what is known of its site. Pure."""
