"""Who may do what, and who did: principals and their roles, tokens, permissions, and the hash-chained audit trail.

`principals` names who acts, `roles` says what a role allows, `tokens` turns a secret into a principal,
`audit` writes and reads the trail, `chain` says what is wrong with one, `commands` is `perenne audit`.
"""
