"""Where state lives: the metadata database, objects by content, the job queue, the outbox and the lineage links.

`database` opens it and hands out transactions; `objects` keeps bytes by their digest and `trees` keeps folders;
`jobs` holds leased work, `outbox` events that commit with the change they announce, `links` the lineage.
"""
