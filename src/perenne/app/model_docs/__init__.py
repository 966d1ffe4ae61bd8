"""What a model server says of itself: `/openapi.json`, made from the signature of what it serves, and the page `/docs`.

`description` writes the document, `form` what the page asks for, `calls` the calls to copy; `routes` is how they are reached.
"""
