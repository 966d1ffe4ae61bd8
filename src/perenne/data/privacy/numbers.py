"""Check digits: what tells a number of a kind from digits that only look like one."""

import re
from collections.abc import Sequence


def digits_of(text: str) -> list[int]:
    """Return the digits of a text.

    >>> digits_of("12-3 a")
    [1, 2, 3]
    """
    return [int(letter) for letter in text if letter in "0123456789"]


def luhn(text: str) -> bool:
    """Check a card's number (ISO/IEC 7812).

    >>> luhn("4111 1111 1111 1111"), luhn("4111 1111 1111 1112")
    (True, False)
    """
    doubled = [sum(divmod(2 * digit, 10)) if at % 2 else digit for at, digit in enumerate(reversed(digits_of(text)))]
    return sum(doubled) % 10 == 0 and any(doubled)


def card(text: str) -> bool:
    """Check a card's number, and that it begins as those of a known network do.

    >>> card("5500 0000 0000 0004"), card("9111 1111 1111 1111")
    (True, False)
    """
    plain = "".join(map(str, digits_of(text)))
    return 13 <= len(plain) <= 19 and plain[0] in "23456" and luhn(plain)


def iban(text: str) -> bool:
    """Check an account's number (ISO 13616), with the length of its country where that is known.

    >>> iban("GB82 WEST 1234 5698 7654 32"), iban("GB82 WEST 1234 5698 7654 33")
    (True, False)
    """
    plain = re.sub(r"[\s-]", "", text).upper()
    if len(plain) != _IBAN_LENGTHS.get(plain[:2], len(plain)) or not 15 <= len(plain) <= 34 or not plain.isalnum():
        return False
    return plain.isascii() and int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


_IBAN_LENGTHS = {
    "AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HU": 28,
    "IE": 22, "IT": 27, "LI": 21, "LU": 20, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SK": 24,
}  # fmt: skip


def _weighted(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=False))


def us_social_security(text: str) -> bool:
    """Check a United States social security number: it has no check digit, but numbers that are never given out.

    >>> us_social_security("078-05-1121"), us_social_security("666-05-1121")
    (True, False)
    """
    plain = "".join(map(str, digits_of(text)))
    area, group, serial = plain[:3], plain[3:5], plain[5:]
    return len(plain) == 9 and area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def german_tax(text: str) -> bool:
    """Check a German tax identification number (ISO 7064, mod 11,10).

    >>> german_tax("86095742719"), german_tax("86095742718")
    (True, False)
    """
    digits = digits_of(text)
    if len(digits) != 11 or digits[0] == 0:
        return False
    product = 10
    for digit in digits[:10]:
        product = 2 * ((digit + product) % 10 or 10) % 11
    return (11 - product) % 10 == digits[10]


def french_insee(text: str) -> bool:
    """Check a French social security number: 97 less the remainder by 97; Corsica counts as 19 and 18.

    >>> french_insee("2 55 08 14 168 025 38"), french_insee("255081416802539")
    (True, False)
    """
    plain = re.sub(r"\s", "", text).upper().replace("2A", "19").replace("2B", "18")
    return len(plain) == 15 and plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


def spanish_dni(text: str) -> bool:
    """Check a Spanish DNI or NIE by its letter.

    >>> spanish_dni("12345678Z"), spanish_dni("12345678A"), spanish_dni("X1234567L")
    (True, False, True)
    """
    plain = re.sub(r"[\s-]", "", text).upper()
    numbers = plain.replace("X", "0", 1).replace("Y", "1", 1).replace("Z", "2", 1) if plain[:1] in "XYZ" else plain
    return len(plain) == 9 and numbers[:8].isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(numbers[:8]) % 23] == plain[8]


def dutch_bsn(text: str) -> bool:
    """Check a Dutch citizen service number by the eleven test.

    >>> dutch_bsn("111222333"), dutch_bsn("111222334")
    (True, False)
    """
    digits = digits_of(text)
    return len(digits) == 9 and any(digits) and _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def italian_code(text: str) -> bool:
    """Check an Italian codice fiscale by its last letter.

    >>> italian_code("RSSMRA85T10A562S"), italian_code("RSSMRA85T10A562T")
    (True, False)
    """
    plain = text.strip().upper()
    if not re.fullmatch(r"[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]", plain):
        return False
    total = sum(
        _ODD[int(letter, 36) - (10 if letter.isalpha() else 0)] if at % 2 == 0 else int(letter, 36) - 10 * letter.isalpha()
        for at, letter in enumerate(plain[:15])
    )
    return chr(ord("A") + total % 26) == plain[15]


_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def british_nhs(text: str) -> bool:
    """Check a British NHS number, modulo 11.

    >>> british_nhs("943 476 5919"), british_nhs("943 476 5918")
    (True, False)
    """
    digits = digits_of(text)
    check = 11 - _weighted(digits[:9], range(10, 1, -1)) % 11
    return len(digits) == 10 and any(digits) and check % 11 == digits[9] and check != 10


def polish_pesel(text: str) -> bool:
    """Check a Polish PESEL.

    >>> polish_pesel("44051401359"), polish_pesel("44051401358")
    (True, False)
    """
    digits = digits_of(text)
    return len(digits) == 11 and any(digits) and -_weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 == digits[10]


def brazilian_cpf(text: str) -> bool:
    """Check a Brazilian CPF.

    >>> brazilian_cpf("111.444.777-35"), brazilian_cpf("111.444.777-36")
    (True, False)
    """
    digits = digits_of(text)
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    first, second = (_weighted(digits[:count], range(count + 1, 1, -1)) * 10 % 11 % 10 for count in (9, 10))
    return [first, second] == digits[9:]
