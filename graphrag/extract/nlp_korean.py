"""Names and relations in Korean text without a morphological analyser.

Particles are stripped from the end of each word; a stem is a name when it recurs with different
endings or carries a cue (a title behind it, a suffix such as 대학교 or 연구소). The predicate of a
sentence is its last word, which in Korean is the verb.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from graphrag.extract import nlp_lexicon as lexicon
from graphrag.extract.nlp_tokens import Mention, Sentence

_HANGUL = re.compile(r"[가-힣]")
_WORD = re.compile(r"[가-힣A-Za-z0-9·]+")
_QUOTED = re.compile(r"[『「《〈≪‘“\"']([^『』「」《》〈〉≪≫‘’“”\"'\n]{2,40})[』」》〉≫’”\"']")
_LATIN = re.compile(
    rf"[{lexicon.uppercase_class()}]\w*(?:['-]\w+)*(?: [{lexicon.uppercase_class()}]\w*(?:['-]\w+)*)*",
    re.ASCII,
)
_ENDINGS = re.compile(
    r"(?:다|했|하는|하고|하여|되어|되는|된|한|할|있는|없는|않는|했다|이다|위해|대해|통해|따라|함께|이후|당시|때문)$"
)
_SUFFIX_TYPES = (
    (
        "organization",
        (
            "대학교",
            "대학",
            "연구소",
            "연구원",
            "학회",
            "협회",
            "회사",
            "위원회",
            "은행",
            "공사",
            "학교",
            "정부",
            "국회",
            "법원",
            "검찰청",
            "경찰서",
            "재단",
            "병원",
            "방송",
            "신문",
            "연합",
            "연맹",
        ),
    ),
    (
        "place",
        (
            "기지",
            "반도",
            "대륙",
            "해협",
            "제도",
            "광역시",
            "특별시",
            "공화국",
            "왕국",
            "제국",
            "남극",
            "북극",
            "공항",
            "공원",
            "산맥",
            "빙붕",
            "빙하",
        ),
    ),
    (
        "event",
        (
            "전쟁",
            "전투",
            "조약",
            "혁명",
            "대회",
            "운동",
            "사건",
            "올림픽",
            "월드컵",
            "회담",
            "협정",
            "탐험",
            "원정",
        ),
    ),
    ("person", ("대통령", "교수", "박사", "선장", "장관", "대장", "감독", "의원", "총리", "사령관")),
    ("product", ("호",)),
)
_PERSON_TITLES = _SUFFIX_TYPES[3][1]
_STOP = lexicon.words(
    """
    그 그녀 그것 이것 저것 우리 자신 자기 때 것 수 등 중 후 전 당시 이후 이전 때문 경우 사람
    사람들 문제 사실 결과 정도 부분  시작 사용 이유 방법 내용 현재 최초 처음 다음 이상 이하 모두
    다른 여러 모든 가장 매우 또한 그러나 하지만 그리고 따라서 한편  특히 오늘 내일 어제 올해 지난해
    하나 일부 대부분 자체 관련 대한 위한 의한 이러한 그러한 있는 없는 같은 최근 과정 상황  시간
    동안 이름 말 일 년 월 날 곳 점 간 측 바 줄 뿐 대해 위해 통해 의해 함께 가운데 사이 아래 위
    안 밖 앞 뒤
    """
)
_MIN_COUNT = 2
_VERBAL = re.compile(
    r"(?:[었았였했됐겠]다|[한된준는]다|(?:이|있|없)다|것이)$"
)  # a verb cited or nominalised, no name
# Final verbs that say nothing without the word before them ("있다" after "주장하고").
_LIGHT = lexicon.words(
    """
    있다 있었다 없다 없었다 했다 한다 하였다 되었다 된다 됐다 않았다 않는다 않다 못했다 못한다 이다 아니다
    아니었다 것이다 것이었다 때문이다 때문이었다 말이다 셈이다 편이다
    """
)
_CONNECTED = ("고", "어", "아", "여", "지", "게")


def is_korean(text: str) -> bool:
    """Return whether Hangul makes up a fifth of the letters or more."""
    letters = sum(character.isalpha() for character in text)
    return letters > 0 and len(_HANGUL.findall(text)) * 5 >= letters


def stem(word: str) -> tuple[str, bool]:
    """Return ``word`` without its particle, and whether there was one."""
    for particle in lexicon.JOSA:
        if word.endswith(particle) and len(word) - len(particle) >= 2:
            return word[: -len(particle)], True
    return word, False


def find_korean_mentions(text: str, spans: list[tuple[int, int]]) -> tuple[list[Mention], dict[str, str]]:
    """Return names of a Korean text in order, with token numbers counted in words, and their types."""
    occurrences: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    particles: dict[str, set[str]] = defaultdict(set)
    types: dict[str, str] = {}
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for number, (low, high) in enumerate(spans):
        previous = ""
        for index, match in enumerate(_WORD.finditer(text, low, high)):
            base, stripped = stem(match.group())
            usable = _HANGUL.search(base) and len(base) >= 2 and base not in _STOP and not base[0].isdigit()
            usable = usable and not _VERBAL.search(base)
            if usable and not (_ENDINGS.search(match.group()) and not stripped):
                occurrences[base].append((match.start(), match.start() + len(base), number, index))
                particles[base].add(match.group()[len(base) :])
            if base in _PERSON_TITLES and 2 <= len(previous) <= 4:
                votes[previous]["person"] += 3
            previous = base if not stripped else ""
        for match in _LATIN.finditer(text, low, high):
            if len(match.group()) >= 2:
                index = len(_WORD.findall(text, low, match.start()))
                occurrences[match.group()].append((match.start(), match.end(), number, index))
                particles[match.group()] |= {"", "-"}
    quoted = [
        match.span(1) for match in _QUOTED.finditer(text) if not match.group(1).rstrip(".!?").endswith("다")
    ]
    mentions = []
    for name, places in occurrences.items():
        type_ = next(
            (
                t
                for t, suffixes in _SUFFIX_TYPES
                if name.endswith(suffixes) and (len(name) > 2 or name in ("남극", "북극"))
            ),
            None,
        )
        if name in _PERSON_TITLES:
            continue
        if not (
            type_
            or votes[name]
            or len(particles[name]) > 1
            or (len(places) >= _MIN_COUNT and particles[name] != {""})
        ):
            continue
        if len(places) < _MIN_COUNT and not type_ and not votes[name] and _HANGUL.search(name):
            continue
        types[name] = type_ or (votes[name].most_common(1)[0][0] if votes[name] else "concept")
        mentions += [
            Mention(start, end, number, index, index + 1, name)
            for start, end, number, index in places
            if not any(low <= start < high for low, high in quoted)
        ]
    for start, end in quoted:
        at = next((n for n, (low, high) in enumerate(spans) if low <= start < high), None)
        if at is not None:
            index = len(_WORD.findall(text, spans[at][0], start))
            mentions.append(Mention(start, end, at, index, index + 1, text[start:end]))
            types[text[start:end]] = "work"
    return sorted(mentions, key=lambda mention: (mention.start, -mention.end)), types


def korean_predicate(text: str, sentence: Sentence) -> str | None:
    """Return the verb at the end of the sentence, or None when it does not end in one that tells something.

    A light verb is told together with the one that it goes with: "주장하고 있다".
    """
    words: list[str] = _WORD.findall(text, sentence.start, sentence.end)
    if not words or not re.search(r"(?:다|요|죠|까|함|됨|음)$", words[-1]):
        return None
    if words[-1] not in _LIGHT:
        return words[-1]
    told = len(words) > 1 and words[-2].endswith(_CONNECTED)
    return f"{words[-2]} {words[-1]}" if told else None
