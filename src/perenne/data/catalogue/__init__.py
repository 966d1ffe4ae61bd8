"""What people say of data sets: whose they are, how they may be used, how fresh they must be; and finding them by it.

`model` is an entry and how fresh its data is, `store` its tables, `describing` reads and changes entries, `finding` searches.
"""
