"""Pictures for others' programs: a dashboard of Grafana over Prometheus, and what Kibana and Elasticsearch take in.

`grafana` makes the dashboard, `kibana` the saved objects, `templates` says to Elasticsearch what the fields are and how long they
are kept; `commands` writes them as files.
"""
