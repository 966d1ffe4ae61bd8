"""What lies at an address, read as a table: files, buckets, lakes; and pointers to one version of it.

`places` tells what an address means; `files`, `buckets` and `lakes` read from it, `uniting` makes one table of several; `pins`
point to a version that stays where it is.
"""
