"""Batch scoring: files, snapshots and queries of any size are answered part by part, and the answers are one file.

========== ==============================================================================================================
`inputs`   rows as they come: Parquet, CSV, JSON lines, folders of these; a part at a time, in the same parts each time
`rows`     a part as the columns a model takes, row by row where it must be; what cannot be read is set aside with its reason
`outputs`  a part's answers, and the file they become at last
`workers`  processes that answer parts, and end when whoever started them does
`running`  the use case: begin or go on, until every part is there, and then give the file its name
`logging`  answers told to monitoring, as a model server tells its own
========== ==============================================================================================================

A part is written under another name, made safe on the disk and then renamed, so that whoever goes on after a kill finds whole
parts or none. The same rows, version and instant give the same bytes, however often it was interrupted.
"""
