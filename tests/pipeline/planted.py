"""Invented personal details in every way of writing them, how to find them again, and texts that only look alike."""

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

_ACCOUNTS = """
@{} | &#64;{} | &commat;{} | %40{} | \\u0040{} | RT @{}: | \\n@{} | @{}@mastodon.social | @{}.bsky.social
https://x.com/{} | https://twitter.com/{}/status/12 | mobile.twitter.com/{} | https:\\/\\/x.com\\/{}
https%3A%2F%2Fx.com%2F{} | https://example.org/?u=https%3A%2F%2Fx.com%2F{}&b=1 | nhttps://x.com/{}
https:&#47;&#47;x.com&#47;{} | https://web.archive.org/web/2020/https://twitter.com/{} | https://nitter.net/{}
https://www.youtube.com/@{} | youtube.com/c/{} | https://youtube.com/channel/{} | https://m.youtube.com/user/{}
https://www.threads.net/@{}/post/1 | https://www.threads.com/@{} | https://bsky.app/profile/{}.bsky.social
{}.bsky.social | https://mastodon.social/@{}@fosstodon.org | https://hachyderm.io/@{}/110 | mastodon.social/users/{}
https://medium.com/@{}/a-title | https://{}.medium.com/a-title | https://www.linkedin.com/in/{}-123/
linkedin.com/pub/{} | https:\\/\\/www.linkedin.com\\/in\\/{} | https://fb.com/{} | fb.me/{} | m.me/{}
https://m.facebook.com/{} | https://facebook.com/profile.php?id={} | instagram.com/{} | https://www.tiktok.com/@{}/video/1
https://t.me/s/{} | https://www.snapchat.com/add/{} | https://old.reddit.com/user/{} | reddit.com/u/{}
https://{}.tumblr.com/post/1 | https://www.tumblr.com/{} | https://www.pinterest.co.uk/{} | https://twitch.tv/{}
did:web:{}.example.art | at://{}.example.art/app.bsky.feed.post/3k | did%3Aweb%3A{}.example.art
at:\\/\\/{}.example.art\\/x | https://pictures.example/plain/did:web:{}.example.art/bafkrei@jpeg | at://did:web:{}.example.art
https://vk.com/{} | https://linktr.ee/{} | https://patreon.com/{} | paypal.me/{} | https://{}.substack.com/p/a
"""
_ADDRESSES = """
{}@mail.com | {}.b+c@sub.mail-x.co.uk | {}@mail.com.jpg | <{}@mail.com> | mailto:{}@mail.com | {}＠mail.com
{}&#64;mail.com | {}&#064;mail.com | {}&#x40;mail.com | {}&commat;mail.com | {}&amp;#64;mail.com | {}%40mail.com
{}%2540mail.com | {}\\u0040mail.com | {}&#64;mail&#46;com | {}\u200b@mail.com | {}@ma\u00adil.com | {}\u2060@mail．com
{} (at) mail (dot) com | {} [at] mail.com | https://example.org/?email={}@mail.com
"""
_NUMBERS = """
+1 202-555-{} | +1202555{} | (202) 555-{} | (202)555-{} | 202.555.{} | 202-555-{} | 202 555 {} | 1-202-555-{}
202–555–{} | 202‑555‑{} | 202\u00a0555\u00a0{} | (202)\u2009555\u2009{} | 202\u202f555\u202f{} | 202/555-{}
+1 202 – 555 – {} | +1\u00ad202\u00ad555\u00ad{} | ＋１ ２０２ 555 {} | 202&ndash;555&ndash;{} | 202&nbsp;555&nbsp;{}
%2B1202555{} | %2B1%20202%20555%20{} | +1\\u00a0202\\u2011555\\u2011{} | tel:202555{} | tel:+1202555{}
"phone": "202555{}" | 001 202 555 {} | 001202555{}
0044 20 7946 {} | 00442079 46{} | 00 44 20 7946 {} | +44 20 7946 {} | +44 (0)20 7946 {}
020 7946 {} | (020) 7946 {} | 0207946{} | 07911 12{} | 0791112{} | +33 6 12 34 {} | +49 (0) 30 123{}
https://wa.me/1202555{} | wa.me/1202555{} | https://api.whatsapp.com/send?phone=1202555{}&text=hi
https://web.whatsapp.com/send/?phone=1202555{} | whatsapp://send?phone=1202555{} | https://t.me/+1202555{}
"""
ACCOUNTS, ADDRESSES, NUMBERS = (
    tuple(form.strip(" ") for line in forms.strip("\n").split("\n") for form in line.split(" | "))
    for forms in (_ACCOUNTS, _ADDRESSES, _NUMBERS)
)
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}|&\w+;|%[0-9A-F]{2}")
FORMS = (*ACCOUNTS, *ADDRESSES, *NUMBERS)


_NAME = re.compile(r"zq\d{4}user")
_DIGITS = re.compile(r"\d(?:[^0-9a-z]{0,3}\d){7,}")
_SECRET_DIGITS = 8


@dataclass(frozen=True)
class Detail:
    """A personal detail of its own. written: as somebody writes it. secret: a name, or the last digits of a number."""

    form: str
    written: str
    secret: str


def detail(form: str, i: int) -> Detail:
    """The `i`-th, 0 to 8,999, in one of FORMS: no other has its secret."""
    if form in NUMBERS:
        before = unicodedata.normalize("NFKC", _ESCAPE.sub("", form.partition("{}")[0]))
        digits = re.sub(r"\D", "", f"{before}{1000 + i}")[-_SECRET_DIGITS:]
        return Detail(form, form.format(1000 + i), digits)
    name = f"zq{i:04d}user"
    return Detail(form, form.format(name), name)


def left_in(details: Iterable[Detail], text: str) -> list[str]:
    """What of these details is in a text, also where it stands there in another writing."""
    writings = [text, unquote(unquote(text)), html.unescape(html.unescape(text)), text.replace("\\/", "/")]
    writings.append(re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), text))
    writings += [text.replace("\x00", ""), unicodedata.normalize("NFKC", text)]  # UTF-16 read as bytes
    found: set[str] = set()
    for writing in dict.fromkeys(writing.lower() for writing in writings):
        found.update(_NAME.findall(writing))
        for run in _DIGITS.findall(writing):
            ends = (number.end() for number in re.finditer(r"\d+", run))
            found.update(re.sub(r"\D", "", run[:end])[-_SECRET_DIGITS:] for end in ends)
    return [planted.written for planted in details if planted.secret in found]


ORDINARY = """
we won 3–2 in 2019, 21-14, 25–23 and 15-13
open 24/7, since 1984–2001 and 2016–2017
2019–06–20 12:30–13:45, 20/06/2019, 10.30.2019
$1,234,567.00 or 1 234 567 EUR, 99.99 each
10–12 people, 100–200 grams, 5,000–6,000 steps
id 1084067481769032701, 2125550123 and 5551234
2016 2017 2018 2019 and 1984-2001
2,012,555,012 and 3.14159265358
192.168.100.200 and 10.0.0.1 and 00:11:22:33:44:55
ISBN 978-3-16-148410-0
000123456 and 0001234567 and 0012
000 123 4567 or 000-123-4567, 0012-345-678 and 0123456789
100 200 3000 and 150 250 3500
1:00 20 30 40 50 and 00 12 30 45
0.0012345 and 1.618.033
call 911 or 112 or 999
Room 212-555 and 12-34 on page 100/200-300
iPhone 4: 16 GB 2010-06-24
tel: yes; phone: 3 of 4; mobile: 2019-06-20
5/10 would do it again, 9/11, 50/50, 1/2 cup
50% off at 20%40, 100%!
v1.2.3-4 of 2021-03-04T05:06:07+01:00
Wed Oct 10 20:19:24 2018
#24/7 #4thofjuly #3–2 #river #100DaysOfCode
$TSLA $AAPL and $5
f!@kn, 5 @ 3, a@b and @ 5pm
@ the beach @
me+you = us ;@
&lt;3 &amp; more &#128512; &gt;
C:\\new\\users and ¯\\_(ツ)_/¯
he said \\"hello\\"
https://t.co/abc123XYZ9 and https://t.co/1234567890
https://x.org/555-123-4567
https://en.wikipedia.org/wiki/Foo_(bar)
https://www.youtube.com/watch?v=dQw4w9WgXcQ
https://youtu.be/dQw4w9WgXcQ
https://www.youtube.com/playlist?list=PL12
https://www.youtube.com/results?search_query=river
https://x.com/hashtag/river and https://x.com/search?q=river
https://twitter.com/i/status/1084067481769032701
https://twitter.com/ and x.com
https://www.reddit.com/r/pics/comments/abc
https://www.linkedin.com/company/acme and https://www.linkedin.com/jobs/view/123
https://medium.com/topic/design
https://www.google.com/maps/@51.5,-0.12,15z
https://example.org/users/guide
https://threads.com/ and https://bsky.app/
https://www.tumblr.com/tagged/rain
https://www.pinterest.com/pin/1234567890
https://github.com/python/cpython
https://www.bbc.co.uk/news/uk-12345678
https://example.org/a%20b%2Fc.html?x=1&amp;y=2
https://www.flickr.com/photos/tags/river
https://pbs.twimg.com/media/DwpQy8iU8AA1b2c.jpg:large
http://example.com/2019/06/20/a-title-of-2019/
wa.me is a site, t.me too, x.com is one
and/or his/her w/o, 1/4 of a km/h
nytimes.com/2019/06/20/science/river.html
https://64.media.tumblr.com/ab12/tumblr_x.jpg and https://img.youtube.com/vi/dQw4w9WgXcQ/0.jpg
the ratio 16:9, 4x4, 1080p, 60fps
12345 Main Street, NY 10001-2345
lat 40.7128, lon -74.0060
3 - 2 = 1, 10 - 12 - 14
a.b.c, e.g., i.e., U.S.A.
GO!!! 10...9...8...
<mention> <email> <phone> <url>
“quoted” – dashed — text… with ‘signs’
π ≈ 3.14159, −40° is −40°
日本語のテキスト、2019年6月20日
01/02/03 04:05:06
1,000,000-2,000,000
""".strip("\n").split("\n")
"""Scores, years, prices, dates, ids, ordinary links: masking leaves each as it is."""
