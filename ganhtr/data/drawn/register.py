"""The text of the built-in lines: entries of a register.

Short entries that look Dutch and Malay, as clerks wrote them in the 16th to 18th century: names,
places, ships, goods, dates and amounts of money. Some names are composed of random syllables, so
that lines rarely repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

CHARACTERS = " &'(),-./0123456789:;=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzàéëïöü"
SHORTEST, LONGEST = 9, 24  # characters of a transcript


def _words(text: str) -> tuple[str, ...]:
    """Split a list of words, or of names of several words, at its commas."""
    return tuple(word.strip() for word in text.split(","))


_FIRST = _words(
    """
    Jan, Pieter, Cornelis, Dirck, Willem, Hendrick, Jacob, Claas, Gerrit, Adriaan, Maria, Anna,
    Catharina, Barbara, Joost, Lijsbeth, Abraham, Isaacq, Ulrich, Xaverius, Zacharias, Quirijn,
    Francois, Evert, Thomas, Nicolaas, Rosetta, Rebecqua, Philip, Salomon, Noë, André, Daniël,
    Gabriël, Raphaël, Jérome, Moïses, Heloïse, Jürgen, Günther, Jörgen, Klaas, Ursula, Valentijn,
    Yda, Kadir, Oemar, Quintijn, Xander, Zeger, Urbanus, Ysbrand, Laurens
    """
)
_MALAY = _words(
    """
    Si Ali, Kiai Demang, Inche Baba, Oey Tjoe, Radja Moeda, Daeng Mabela, Kapitan Li, Njai Ratna,
    Intje Boejang, Sultan Agoeng, Orang Kaja, Wangsa Yuda, Kjai Aria, Toean Puteh, Xi Goanko
    """
)
_LAST = _words(
    """
    Jansz., Pietersz., Dircksz., Hendricxz., Claesz., de Wit, van Dijck, van der Hagen, de Vos,
    Coen, Both, Reael, Specx, Brouwer, van Diemen, Maetsuijcker, Valckenier, Zwaardecroon, Mossel,
    de Haan, Camphuijs, van Hoorn, Outhoorn, Speelman, 't Hooft, d'Acunha, Xavier, van der Parra,
    Alting, Müller, Köhler, Schröder, Krüger, de Quaij, Fourré, Böhm, van Qualbergen
    """
)
_PLACES = _words(
    """
    Batavia, Ambon, Banda, Makassar, Hoorn, Ternate, Tidore, Bantam, Japara, Semarang, Cheribon,
    Soerabaija, Padang, Palembang, Malacca, Colombo, Galle, Cochin, Suratte, Deshima, Enkhuijzen,
    Zeeland, Delft, Rotterdam, Timor, Solor, Boeton, Xula, Ouwater, Jaccatra, Quinam, Tonquin,
    Formosa, Zirian, Mexico, Ceijlon, Kaap, Riouw, Loehoe, Vlissingen, Yssel, Nussa, Utrecht
    """
)
_SHIPS = _words(
    """
    Zeewijk, Ridderschap, Vliegend Hert, Nassauw, Hollandia, Mauritius, Duijfje, Batavia, Unie,
    Eendragt, Amstelveen, Geünieerd, Coöperatie, Oranje, Zuijdpool, Vrijheid, Xerxes, Yverig
    """
)
_GOODS = _words(
    """
    nagelen, peper, foelie, noten, rijst, arak, koffij, zuijcker, thee, indigo, tin, cassia,
    sappanhout, olie, garioffel, cauris, zijde, chitsen, wax, sago, quicksilver, boeken, was,
    coïr, caffé, azijn, wijn, linnen, ijzer, koper, porcelein, thé, lijwaten, kruijt, campher
    """
)
_TRADES = _words(
    """
    koopman, schipper, boeckhouder, assistent, soldaat, matroos, vaandrig, predikant, notaris,
    weduwe, burger, slaaf, vrijman, timmerman, chirurgijn, fiscaal, resident, equipagiemr.,
    secretaris, poëet, reëel, quartiermr., wacht, kok, tolk, mandoor, geëert, schepen
    """
)
_MONTHS = _words(
    """
    Jan., Feb., Maart, April, Meij, Junij, Julij, Aug., Sept., Oct., Nov., Dec., 7ber, 8ber, 9ber,
    Xber, Januarij, Februarij
    """
)
_UNITS = _words(
    """
    lb, pikol, balen, kisten, leggers, vaten, bahar, lasten, quint., zakken, koijan
    """
)
_NOTES = _words(
    """
    idem, item, obiit, vide fol., als boven, op reekening, ontfangen, betaelt, geëijscht,
    gevraagd, tot, naer, voor, aen boort, gecoöpteert, geïnd, beïnkt, coöp., verkogt, überbracht,
    exempt, présent, té, zoöl., naïef
    """
)
_ONSETS = _words(
    """
    b, d, g, h, j, k, l, m, n, p, r, s, t, w, v, y, z, ng, nj, tj, dj, sj, kr, sl
    """
)
_VOWELS = ("a", "a", "e", "i", "o", "oe", "u", "ai")  # "a" twice, because it is frequent
_CODAS = ("", "", "", "n", "ng", "r", "k", "s", "t", "m", "l", "x")  # many syllables have none


def _pick(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _number(rng: np.random.Generator, low: int, high: int) -> int:
    """A random integer from low to high, both included."""
    return int(rng.integers(low, high + 1))


def _coined(rng: np.random.Generator) -> str:
    """A made-up name of two or three syllables."""
    syllables = (
        _pick(rng, _ONSETS) + _pick(rng, _VOWELS) + _pick(rng, _CODAS)
        for _ in range(_number(rng, 2, 3))
    )
    return "".join(syllables).capitalize()


def _first(rng: np.random.Generator) -> str:
    return _coined(rng) if rng.random() < 0.3 else _pick(rng, _FIRST)


def _place(rng: np.random.Generator) -> str:
    return _coined(rng) if rng.random() < 0.4 else _pick(rng, _PLACES)


def _name(rng: np.random.Generator) -> str:
    roll = rng.random()
    if roll < 0.2:
        return f"{_pick(rng, _MALAY)} {_coined(rng)}"
    if roll < 0.35:
        return f"{_first(rng)[0]}. {_first(rng)[0]}. {_pick(rng, _LAST)}"
    return f"{_first(rng)} {_pick(rng, _LAST) if roll < 0.8 else 'van ' + _place(rng)}"


def _trade(rng: np.random.Generator) -> str:
    if rng.random() < 0.6:
        return f"{_first(rng)}, {_pick(rng, _TRADES)}"
    return f"{_pick(rng, _TRADES)} {_coined(rng)}"


def _date(rng: np.random.Generator) -> str:
    day, year = _number(rng, 1, 31), _number(rng, 1596, 1799)
    if rng.random() < 0.7:
        date = f"{day} {_pick(rng, _MONTHS)} {year}"
    else:
        date = f"{day}/{_number(rng, 1, 12)} {year}"
    return f"{_place(rng)} {date}" if rng.random() < 0.4 else date


def _amount(rng: np.random.Generator) -> str:
    roll, big, small = rng.random(), _number(rng, 2, 980), _number(rng, 1, 47)
    if roll < 0.4:
        return f"{_pick(rng, _GOODS)} {big} rds {small} st."
    if roll < 0.75:
        return f"{_coined(rng)} f {big}:{_number(rng, 1, 19)}:{_number(rng, 0, 15)}"
    return f"{_number(rng, 2, 99)} {_pick(rng, _GOODS)} à {small} st."


def _cargo(rng: np.random.Generator) -> str:
    load = f"{_number(rng, 2, 960)} {_pick(rng, _UNITS)} {_pick(rng, _GOODS)}"
    return f"{load} & {_pick(rng, _GOODS)}" if rng.random() < 0.3 else load


def _ship(rng: np.random.Generator) -> str:
    ship = _pick(rng, _SHIPS)
    return f"'t schip {ship}" if rng.random() < 0.3 else f"{ship} - {_place(rng)}"


def _note(rng: np.random.Generator) -> str:
    roll = rng.random()
    if roll < 0.35:
        return f"{_pick(rng, _NOTES)} {_place(rng)}; {_number(rng, 1, 99)}"
    if roll < 0.6:
        return f"({_pick(rng, _NOTES)}) {_first(rng)}"
    if roll < 0.8:
        return f"{_place(rng)}={_pick(rng, _TRADES)}"
    return f"No. {_number(rng, 1, 999)}: {_coined(rng).upper()}"


def _heading(rng: np.random.Generator) -> str:
    return f"{_place(rng).upper()} (fol. {_number(rng, 1, 480)})"


# An entry that is listed twice is drawn twice as often.
ENTRIES: tuple[Callable[[np.random.Generator], str], ...] = (
    _name,
    _name,
    _trade,
    _date,
    _amount,
    _cargo,
    _ship,
    _note,
    _note,
    _heading,
)


def draw_text(rng: np.random.Generator) -> str:
    """Draw one entry of SHORTEST to LONGEST characters, all of them in CHARACTERS."""
    while True:
        text = ENTRIES[int(rng.integers(len(ENTRIES)))](rng)
        if SHORTEST <= len(text) <= LONGEST:
            return text
