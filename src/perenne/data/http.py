"""REST of the data domain: `/api/data/…`."""

from perenne.data.catalogue.endpoints import routes as catalogue_routes

routes = [*catalogue_routes]
