"""Payloads of the screens that join several domains: each domain is asked once, and here the answers are put side by side."""
