"""DVC's files, bytes to Structs and back, byte for byte as DVC 3.67 writes them; 2.x is read.

=====================  =====================================================================================================
`entries`              what a metafile says of one output or dependency
`metafiles`            the ``.dvc`` file
`manifests`            the manifest of a directory, ``<md5>.dir``
`locks`, `run_cache`   ``dvc.lock``, and what a run-cache remembers of a stage
`pipelines`            ``dvc.yaml``: stages with `interpolation` worked out; `pipeline_schema` is its form, `values` reads params
`configs`              ``.dvc/config``, in ConfigObj's dialect
`ignores`              ``.dvcignore``, and the lines that DVC keeps in ``.gitignore``
`answers`              what DVC's commands answer as JSON
`documents`            YAML as DVC reads and writes it: `plain` for the usual shapes, a YAML library for the rest
`scalars`              what a plain scalar of YAML 1.2 means, and when a text needs quotes
=====================  =====================================================================================================

Nothing here touches a disk. Reading and writing the usual shapes imports no YAML library; a file with comments, anchors or folded
lines is edited through ruamel.yaml with DVC's settings (extra ``dvc``), so that equality of bytes is inherited.
"""
