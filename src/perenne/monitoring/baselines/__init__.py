"""What windows are compared with, and how they are put together: by the calendar, by rows, from tables, and for how long.

`merging` adds posts to a window, and to the longer ones it lies in; `retention` lets windows go when their time is over.
`choosing` finds what a window is compared with - the reference, the first clean days (`production`), or the same phase of the
week - and `schema` what became of columns. `tables` counts any table in the cells of a reference. `ranking` puts features in the
order of importance times drift, `silence` marks windows in which nobody asked anything; `store` is the SQL, `commands` the verbs.
"""
