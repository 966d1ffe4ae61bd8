"""Looking at data: a page, a notebook and a comparison to hand on, each drawn from a profile and nothing else.

`looking` finds the profile of a source, or makes it; `noticing` says what a person should look at; `page` and `comparison` draw
(`columns` the columns, `charts` the pictures, `markup` words and numbers, `style` the frame); `notebook` writes the queries that
rebuild all of it (`queries`); `rows` tells which rows came and went between two snapshots; `http` hands the files out.
"""
