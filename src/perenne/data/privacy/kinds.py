"""The kinds of personal data that can be told from the values of a column.

A kind is told by a pattern that values match as a whole, and by a check digit where it has one: then confidence is high. What
only looks like a kind is a hint; for names, addresses and dates of birth the column's name must say so, too.
"""

from collections.abc import Callable
from typing import NamedTuple

from perenne.data.privacy import numbers


class PersonalKind(NamedTuple):
    """A kind of personal data.

    Attributes
    ----------
    name, words : str
        How it is called, and what it is.
    pattern : str
        What a value matches, in RE2.
    check : callable, optional
        What holds for a real one beside.
    confidence : float
        How sure one may be of a column all of whose values pass, from 0 to 1.
    named : str
        What the column's name must hold for it to be more than chance, in RE2; empty if any name will do.
    hint : bool
        Whether it never counts as found, only as a hint.
    alone : bool
        Whether a few of them among values of another kind are worth a hint: for hardly anything else looks so.
    """

    name: str
    words: str
    pattern: str
    check: Callable[[str], bool] | None = None
    confidence: float = 0.9
    named: str = ""
    hint: bool = False
    alone: bool = False

    def may_be(self, datatype: str) -> bool:
        """Tell whether a column of a type may hold this kind: numbers and times are looked at only for what they can be."""
        if datatype == "string":
            return True
        if datatype == "int64":
            return self.check is not None or self.name == "phone"
        return self.name == ("coordinates" if datatype == "float64" else "birth_date")


_ADDRESS_NAME = r"(?i)addr|street|strasse|straße|adresse|city|town|postal"
_LATITUDE = r"(?i)(^|[_ .-])(lat|latitude|lon|lng|long|longitude)($|[_ .-])|coord|geo|gps"

KINDS: tuple[PersonalKind, ...] = (
    PersonalKind("email", "e-mail address", r"\s*[^@\s]+@[^@\s]+\.[^@\s.]{2,}\s*", None, 0.99, alone=True),
    PersonalKind("iban", "bank account", r"[A-Za-z]{2}\d{2}([ -]?[A-Za-z0-9]){11,30}", numbers.iban, 0.99, alone=True),
    PersonalKind("card", "payment card", r"\d{4}([ -]?\d){9,15}", numbers.card, 0.98),
    PersonalKind("mac", "network card", r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", None, 0.95),
    PersonalKind(
        "ip", "network address",
        r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)|([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"
        r"|([0-9A-Fa-f]{1,4}:){1,6}(:[0-9A-Fa-f]{1,4}){1,6}|::1",
        None, 0.9,
    ),
    PersonalKind(
        "token_url", "address with a secret in it",
        r"(?i)[a-z][a-z0-9+.-]*://([^/\s:@]+:[^/\s@]+@\S+|\S*[?&#](access_?token|token|api_?key|key|sig(nature)?|secret|password)=\S+)",
        None, 0.95, alone=True,
    ),
    PersonalKind(
        "api_key", "key of a service",
        r"(sk|pk|rk)_(live|test)_[0-9A-Za-z]{10,}|sk-[0-9A-Za-z_-]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[0-9A-Za-z]{30,}"
        r"|xox[abpr]-[0-9A-Za-z-]{10,}|AIza[0-9A-Za-z_-]{35}|prn_[0-9A-Z]{26}_\S+|eyJ[\w-]+\.[\w-]+\.[\w-]+",
        None, 0.97, alone=True,
    ),
    PersonalKind("us_ssn", "US social security number", r"\d{3}-\d{2}-\d{4}", numbers.us_social_security, 0.9),
    PersonalKind("it_fiscale", "Italian tax code", r"[A-Za-z]{6}\w{2}[A-Za-z]\w{2}[A-Za-z]\w{4}", numbers.italian_code, 0.99),
    PersonalKind("es_dni", "Spanish identity number", r"(?i)[XYZ\d]\d{7}[ -]?[A-Z]", numbers.spanish_dni, 0.97),
    PersonalKind("br_cpf", "Brazilian tax number", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", numbers.brazilian_cpf, 0.97),
    PersonalKind("fr_insee", "French social security number", r"[12][\dAB ]{14,20}", numbers.french_insee, 0.98),
    PersonalKind("de_steuer_id", "German tax number", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", numbers.german_tax, 0.93),
    PersonalKind("pl_pesel", "Polish identity number", r"\d{11}", numbers.polish_pesel, 0.93),
    PersonalKind("uk_nhs", "British NHS number", r"\d{3}[ -]?\d{3}[ -]?\d{4}", numbers.british_nhs, 0.93),
    PersonalKind("nl_bsn", "Dutch citizen number", r"\d{9}", numbers.dutch_bsn, 0.9),
    PersonalKind("phone", "telephone number", r"\+\d{1,3}[ ./-]?(\(\d+\)|\d)([ ./-]?\d){6,12}", None, 0.9),
    PersonalKind(
        "phone", "telephone number", r"\(?\+?\d[\d ()./-]{5,18}", None, 0.7, r"(?i)phone|tel(e|$|_)|mobile|handy|fax",
    ),
    PersonalKind("coordinates", "place on earth", r"[-+]?\d{1,2}\.\d{3,}\s*[,;]\s*[-+]?\d{1,3}\.\d{3,}", None, 0.85),
    PersonalKind("coordinates", "place on earth", r"[-+]?\d{1,3}\.\d{3,}", None, 0.6, _LATITUDE),
    PersonalKind(
        "birth_date", "date of birth", r"\d{4}-\d{2}-\d{2}.*|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}", None, 0.85,
        r"(?i)birth|(^|[_ .-])(dob|born|bday)($|[_ .-])|geburt|naissance|nacimiento",
    ),
    PersonalKind(
        "name", "name of a person", r"\p{Lu}[\p{L}'’.-]+([ ,]+\p{L}[\p{L}'’.-]*){0,4}", None, 0.5,
        r"(?i)(^|[_ .-])(first|last|full|family|given|maiden)?[_ .-]?name($|[_ .-])|surname|vorname|nachname",
        True,
    ),
    PersonalKind(
        "address", "postal address", r"(?i)\d+[ ,]+\p{L}.*|\p{L}.*[ ,]+\d+.*", None, 0.5, _ADDRESS_NAME, True,
    ),
)  # fmt: skip

WORDS = {kind.name: kind.words for kind in KINDS}
