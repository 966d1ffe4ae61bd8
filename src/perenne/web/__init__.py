"""The page: static files, the one shell that every address opens, payloads of screens that join several domains, live news."""
