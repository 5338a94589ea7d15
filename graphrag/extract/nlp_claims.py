"""Claims by rules: statements about a name with a date, a hedge or a denial."""

from __future__ import annotations

import itertools
import re

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.facts import ClaimFact
from graphrag.extract.nlp_relations import TENTATIVE, Link, main_clause
from graphrag.extract.nlp_tokens import Mention, Sentence

_MONTH = "|".join(sorted(lexicon.MONTHS, key=lambda m: (-len(m), m)))
_DATE = re.compile(
    rf"(?P<iso>\b\d{{4}}-\d\d-\d\d\b)"
    rf"|\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m1>{_MONTH})\.?,?\s+(?P<y1>\d{{3,4}})\b"
    rf"|\b(?P<m2>{_MONTH})\.?\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y2>\d{{3,4}})\b"
    rf"|\b(?P<m3>{_MONTH})\.?,?\s+(?P<y3>\d{{4}})\b"
    r"|(?<![\d.,:/-])\b(?P<y4>1\d{3}|20\d\d)\b(?![,.]\d|\s*(?:km|m|miles|people|metres|meters|feet|%))"
    r"|\b(?:in|from|until|since|after|before|and|or|died|born)\s+(?:AD\s+)?(?P<y5>[2-9]\d\d)\b(?!\s*[a-z%])",
    re.IGNORECASE,
)
_KOREAN_DATE = re.compile(r"(?P<y>\d{3,4})년(?:\s*(?P<m>\d{1,2})월)?(?:\s*(?P<d>\d{1,2})일)?")
_KOREAN_HEDGES = ("추정", "알려져 있", "것으로 보인다", "주장", "의혹", "논란", "전해진다", "가능성")
_KOREAN_DENIALS = ("지 않", "지 못", "없다", "없었다", "아니다", "아니었다", "부인했", "부인하")
_RANGE = re.compile(r"^\s*(?:–|-|—|to|until|till|and)\s*$")


def iso_dates(text: str) -> list[tuple[int, int, str]]:
    """Return ``(start, end, ISO date)`` of each date in ``text``: a day, a month or a year."""
    found = []
    for match in _DATE.finditer(text):
        part = match.groupdict()
        if part["iso"]:
            found.append((match.start(), match.end(), part["iso"]))
            continue
        year = next(part[key] for key in ("y1", "y2", "y3", "y4", "y5") if part[key])
        month = next((part[key] for key in ("m1", "m2", "m3") if part[key]), None)
        day = part["d1"] or part["d2"]
        found.append(
            (match.start(), match.end(), _iso(year, lexicon.MONTHS[month.lower()] if month else None, day))
        )
    for match in _KOREAN_DATE.finditer(text):
        month = match["m"]
        found.append(
            (match.start(), match.end(), _iso(match["y"], int(month) if month else None, match["d"]))
        )
    return sorted(found)


def _iso(year: str, month: int | None, day: str | None) -> str:
    date = f"{int(year):04d}"
    if month and 1 <= month <= 12:
        date += f"-{month:02d}"
        if day and 1 <= int(day) <= 31:
            date += f"-{int(day):02d}"
    return date


def status_of(quote: str) -> str:
    """Return FALSE for a denial, SUSPECTED for a hedge, else TRUE."""
    lower = quote.lower().replace("’", "'")
    if any(ending in quote for ending in _KOREAN_HEDGES):
        return "SUSPECTED"
    if any(ending in quote for ending in _KOREAN_DENIALS):
        return "FALSE"
    tokens = set(re.findall(r"[\w']+", lower))
    if tokens & lexicon.REPORTING_HEDGES or any(phrase in lower for phrase in lexicon.HEDGE_PHRASES):
        return "SUSPECTED"
    if tokens & lexicon.DENIALS or any(re.search(rf"\b{p}\b", lower) for p in lexicon.DENIAL_PHRASES):
        return "FALSE"
    return "TRUE"


def sentence_claim(
    text: str, sentence: Sentence, mentions: list[Mention], links: list[Link], verb: str | None = None
) -> ClaimFact | None:
    """Return what the sentence claims of its subject, if it has a subject and a date, hedge or denial.

    The description is the sentence itself; the type is ``verb`` or else the verb nearest to the date.
    """
    if not mentions or mentions[0].first - main_clause(sentence) > 4:
        return None
    quote = text[sentence.start : sentence.end]
    dates = iso_dates(quote)
    status = status_of(quote)
    if not dates and status == "TRUE":
        return None
    subject = mentions[0]
    verb_limit = sentence.start + dates[0][0] if dates else sentence.end
    verbs = [
        (start, token.lower())
        for start, token, code in zip(sentence.starts, sentence.texts, sentence.codes, strict=True)
        if code == "v" and start >= subject.end and token.lower() not in lexicon.AUXILIARIES
    ]
    if not verbs and not verb and "v" not in sentence.codes:
        return None
    opening = quote.find("(")
    life = (
        bool(dates)
        and 0 <= opening < dates[0][0] < quote.find(")")
        and opening <= subject.end - sentence.start + 2
    )
    if life and not any(sentence.start + opening < start < verb_limit for start, _ in verbs):
        start_date, end_date = _period(quote, dates)
        return ClaimFact(subject.name, None, "dates", status, quote, quote, start_date, end_date)
    before = [verb for start, verb in verbs if start < verb_limit]
    type_ = verb or (before[-1] if before else verbs[0][1] if verbs else "state")
    objects = [
        link
        for link in links
        if link.head == subject.name
        and link.predicate != TENTATIVE
        and link.tail.lower() not in lexicon.DEMONYMS
    ]
    start_date, end_date = _period(quote, dates)
    return ClaimFact(
        subject=subject.name,
        object=objects[0].tail if objects else None,
        type=type_,
        status=status,
        description=quote,
        source_text=quote,
        start_date=start_date,
        end_date=end_date,
    )


def _period(quote: str, dates: list[tuple[int, int, str]]) -> tuple[str | None, str | None]:
    if not dates:
        return None, None
    for (_, end, first), (start, _, second) in itertools.pairwise(dates):
        if _RANGE.match(quote[end:start]) and first <= second:
            return first, second
    return dates[0][2], None
