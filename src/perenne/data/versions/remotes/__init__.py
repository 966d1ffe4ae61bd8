"""Where objects are kept beside the cache: the port `Remote`, its adapters, and what moves objects between the two.

==========================  ================================================================================================
`port`                      what every remote can do: ask, list, get, put, delete
`local`, `cloud`, `web`     a folder; S3, GCS and Azure; HTTP and WebDAV
`sftp`, `filesystem`        SSH by SFTP; whatever fsspec reaches (both behind the extra ``fsspec``)
`options`, `profiles`       DVC's keys of a remote, and what each means to its adapter; AWS's files of credentials
`opening`, `clouds`,        a section of the config, or a URL, opened; what each kind needs for that
`others`
`presence`, `completeness`  which objects are there; which directories are known to be there whole
`transfer`, `workers`       objects moved, each proved by its md5; so many at once
`refusals`                  what is raised, without secrets
==========================  ================================================================================================
"""
