"""Container images in the OCI format, made and pushed without a daemon; a model kept alive on newer libraries."""
