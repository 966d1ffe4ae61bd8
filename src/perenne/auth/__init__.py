"""Who may do what, and who did: principals and their roles, tokens, permissions, and the hash-chained audit trail.

`principals` names who acts, `roles` says what a role allows, `access` what a route asks for. `tokens` makes, rotates and ends
tokens and turns one into a principal; `secret` is their text, `keyring` the same for a server without a database, from the file
that `publishing` writes; `doorman` asks for them and slows guessing. `audit` writes and reads the trail, `chain` says what is
wrong with one, `commands` is `perenne audit` and `perenne token`.
"""
