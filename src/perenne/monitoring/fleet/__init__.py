"""Judging thousands of deployments: who judges which (`leases`), and how many windows are judged at once (`batches`)."""
