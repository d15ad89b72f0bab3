"""A first configuration: what is asked, what is found on the server, what is written."""
