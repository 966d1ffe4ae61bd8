"""Thousands of deployments: `leases` say who judges which, `sharing` judges many at once, `checking` looks at all of them."""
