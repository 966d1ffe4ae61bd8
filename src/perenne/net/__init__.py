"""What crosses the network, bounded: what both servers accept, and what perenne itself asks of others.

`inbound` holds the limits of a request (host, sizes, depth), `connections` those of a connection (headers, idle time, framing),
`asgi` the small request, reply and router of servers that need no framework.
"""
