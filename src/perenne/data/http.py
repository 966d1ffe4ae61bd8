"""REST of the data domain: `/api/data/…`."""

from perenne.data.catalogue.endpoints import routes as catalogue_routes
from perenne.data.ingest.endpoints import routes as source_routes

routes = [*catalogue_routes, *source_routes]
