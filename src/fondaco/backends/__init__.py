"""One module per outside service; nothing here knows what the service is used for."""
