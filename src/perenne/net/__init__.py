"""What crosses the network, bounded: what both servers accept, and what perenne itself asks of others.

`listening` says where a server may listen, `inbound` holds the limits of a request (host, sizes, depth, other sites' pages),
`connections` those of a connection (headers, idle time, framing), `asgi` the small request, reply and router of servers that need
no framework; `egress` is the one client that asks others, `processes` looks at the installation's own.
"""
