"""What a format *is*: bytes to Structs and back, pure. Nothing here opens a file, a socket or a database."""
