"""What names a person in a text gives way to a placeholder before the text is stored or shown.

Accounts become `<mention>`, e-mail addresses `<email>`, phone numbers `<phone>`, links to an account's page `<url>`.
A number counts as a phone number where Google's libphonenumber finds a possible one and it is written as one is.
"""

from dataclasses import replace

import regex

from pipeline.entities import LIST, MENTION, URL, entities
from schemas.posts import Dropped, Post

_PHONE = regex.compile(
    r"(?<![\p{L}\p{Nd}_$£€#/=,])(?:"
    r"(?P<ZZ>\+\d{1,3}(?:[ .\-]?\(?\d{1,5}\)?){2,7})"
    r"|(?P<US>(?:1[ .\-]?)?(?:\(\d{3}\)[ \-]?|\d{3}[ .\-])\d{3}[ .\-]\d{4})"
    r"|(?P<GB>\(?0\d{2,4}\)?[ \-]?\d{3,4}[ \-]?\d{3,4})"
    r")(?!\d)"
)
"""How numbers are written: international ones anywhere, national ones in the two countries that most English posts come
from (libphonenumber's names of regions). Bare digits cannot be told from ids and prices."""
_GROUP = regex.compile(r"[ .\-]?\(?\d+\)?")

_EMAIL = regex.compile(r"[\p{L}\p{N}._%+\-]{1,64}+(?<=[\p{L}\p{N}_])[@＠](?:[\p{L}\p{N}\-]{1,63}+\.){1,8}\p{L}{2,24}")
_ACCOUNT_PAGE = regex.compile(
    r"(?:https?://)?(?:\w+\.)?(?:twitter\.com|x\.com|instagram\.com|facebook\.com|t\.me|tiktok\.com)/@?(?!i/)\w",
    regex.I,
)
_NAMED_FIELD = regex.compile(r'("(?:screen_name|username|in_reply_to_screen_name)"\s*:\s*")[^"]+')


def mask(text: str) -> str:
    """`text` without accounts, e-mail addresses and phone numbers. What is masked stays as it is if masked again."""
    while (masked := _masked_once(text)) != text:
        text = masked  # a placeholder parts what was glued together
    return text


def _masked_once(text: str) -> str:
    if "@" in text or "＠" in text:
        text = _EMAIL.sub("<email>", text)
    text = _NAMED_FIELD.sub(r"\1<mention>", text)
    parts, end = [], 0
    for entity in entities(text):
        if entity.kind in (MENTION, LIST):
            placeholder = "<mention>"
        elif entity.kind == URL and _ACCOUNT_PAGE.match(entity.value):
            placeholder = "<url>"
        else:
            continue
        parts += [text[end : entity.start], placeholder]
        end = entity.end
    return _PHONE.sub(_masked_phone, "".join([*parts, text[end:]]))


def masked_post(post: Post) -> Post:
    """As it is stored. Tokens and keyphrases hold no names already."""
    return post.having(text=mask(post.text))


def masked_dropped(dropped: Dropped) -> Dropped:
    """As it is stored."""
    return replace(dropped, detail=mask(dropped.detail))


def _masked_phone(match: regex.Match[str]) -> str:
    """`<phone>` and the groups of digits behind the number, the longest possible; the match itself where it is none."""
    ends = (len(match.group()), *(group.start() for group in reversed([*_GROUP.finditer(match.group())][1:])))
    end = next((end for end in ends if _is_possible(match.group()[:end], match.lastgroup)), 0)
    return "<phone>" + match.group()[end:] if end else match.group()


def _is_possible(number: str, region: str) -> bool:
    from phonenumbers import NumberParseException, is_possible_number, parse

    try:
        return is_possible_number(parse(number, region))
    except NumberParseException:
        return False
