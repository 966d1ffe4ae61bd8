"""Who may do what, and who did: principals and their roles, tokens, permissions, and the hash-chained audit trail.

`principals` names who acts, `roles` says what a role allows, `access` what a route asks for. `tokens` makes, rotates and ends
tokens and turns one into a principal; `sessions` keeps a browser logged in that showed one. `secret` is the text of a token,
`keyring` the same for a server without a database, from the file that `publishing` writes. `entrance` asks for a token or a
session at the control plane, `doorman` slows guessing. `audit` writes and reads the trail, `chain` says what is wrong with one;
`answers` and `http` are REST, `commands` is `perenne audit` and `perenne token`.
"""
