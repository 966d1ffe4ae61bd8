"""What a package is made of: its bill of materials, known vulnerabilities, licences."""
