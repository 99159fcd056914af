"""Links to the page of an account, by network. Such a link names a person as `@name` does.

Links to posts, lists and groups count too where their address holds a name or leads to the account. Pages that are
nobody's stay links: searches, hashtags, help, videos.
"""

import regex

_END = r"(?![\w\-])"
_TAIL = r"""(?:[^\s<>"'{}|\\^`…\p{Lo}]*(?<=[\w/=\-~#&%]))?"""


def _other_than(*pages: str) -> str:
    """A path whose first part is a name and none of these pages."""
    return rf"/(?!(?:{'|'.join(pages)}){_END})[@+~$]?\w"


_ANY_NAME = _other_than("about", "help", "login", "signup", "search", "explore", "privacy", "terms", "settings")
_OF_NETWORK = {
    r"(?:vx|fx)?twitter\.com|x\.com|fixupx\.com|fixvx\.com|nitter\.[\w.\-]+": _other_than(
        "i", "hashtag", "search", "explore", "home", "about", "tos", "privacy", "settings"
    ),
    r"instagram\.com|instagr\.am|ig\.me": _other_than("explore", "about", "legal", "developer"),
    r"facebook\.com|fb\.com|fb\.me|m\.me|messenger\.com": _other_than(
        "help", "hashtag", "policies", "legal", "marketplace", "gaming", "watch", "business"
    ),
    r"t\.me|telegram\.me|telegram\.dog": _other_than("addstickers", "addemoji", "proxy", "share"),
    r"tiktok\.com": _other_than("tag", "music", "discover", "explore", "foryou", "about", "legal"),
    r"youtube\.com": r"/(?:@|c/|channel/|user/)\w|"
    + _other_than(
        *("watch", "playlist", "results", "feed", "shorts", "live", "embed", "hashtag", "gaming", "premium", "v", "t"),
        *("c", "channel", "user", "clip", "post", "about", "ads", "creators", "trending", "redirect", "kids", "music"),
    ),
    r"threads\.(?:net|com)": r"/@?\w",
    r"bsky\.app": r"/profile/\w",
    r"linkedin\.com": r"/(?:in|pub|posts|profile|comm/in)/?[\w?]",
    r"snapchat\.com": r"/(?:add/|@|u/|t/)\w",
    r"reddit\.com": r"/(?:u|user)/\w",
    r"tumblr\.com": _other_than("explore", "tagged", "search", "dashboard", "login", "register", "about", "policy"),
    r"pinterest\.\w{2,3}(?:\.\w{2})?": _other_than("pin", "search", "ideas", "explore", "today", "about"),
    r"twitch\.tv": _other_than("directory", "videos", "p", "downloads", "jobs", "search"),
    r"flickr\.com": r"/(?:photos|people)/(?!tags\b)[\w@]",
    r"quora\.com": r"/profile/\w",
    r"steamcommunity\.com": r"/(?:id|profiles)/\w",
    r"open\.spotify\.com": r"/user/\w",
    r"paypal\.com": r"/paypalme/\w",
    r"wa\.me|whatsapp\.com/send/?|whatsapp\.com/message": r"[/?]\+?\w",
    r"gettr\.com": r"/user/\w",
    r"vk\.com|ok\.ru|weibo\.com|onlyfans\.com|patreon\.com|ko-fi\.com|paypal\.me|venmo\.com|cash\.app|linktr\.ee|"
    r"soundcloud\.com|deviantart\.com|gab\.com|vsco\.co|ask\.fm|ngl\.link|about\.me": _ANY_NAME,
    r"(?:[\w.\-]*mastodon[\w.\-]*|mstdn\.[\w.\-]+|[\w\-]+\.social|mas\.to|fosstodon\.org|hachyderm\.io|pixelfed\.\w+)":
    r"/(?:users|u|web/accounts)/\w",
}  # fmt: skip
_NOBODYS = r"(?!(?:www|m|help|about|blog|policy|support|assets|static|media|\d+\.media|api|cdn[\w\-]*)\.)"
_OWN_DOMAIN = rf"{_NOBODYS}[\w\-]+\.(?:tumblr\.com|medium\.com|substack\.com|bsky\.social|t\.me|deviantart\.com)\b"
_ANY_NETWORK = r"[\p{L}\p{N}\-]+(?:\.[\p{L}\p{N}\-]+)*\.\p{L}{2,24}(?::\d+)?/(?:web/|deck/)?@\w"
"""`host/@name`: Mastodon and all that speaks with it, Medium, Threads, YouTube, TikTok."""

_NO_FILES = r"(?!(?:media|static|assets|img|images|cdn[\w\-]*)\.)"
_HOSTS = "|".join(rf"(?:{host})(?:{path})" for host, path in _OF_NETWORK.items())
_PAGE = regex.compile(
    rf"(?:https?://|(?<![\p{{L}}\p{{N}}._\-@]))(?:(?:{_NO_FILES}[\w\-]++\.)*?(?:{_HOSTS})|{_OWN_DOMAIN}|{_ANY_NETWORK}){_TAIL}",
    regex.IGNORECASE,
)
"""The address of an account's page, with or without protocol, wherever it stands."""
_PERHAPS = regex.compile(
    r"(?<!(?<!\w)t\.co|[:/])/(?!/)|\.(?:tumblr|medium|substack|bsky|deviantart|t)\.", regex.IGNORECASE
)
"""Told in a tenth of the time: most links in posts are Twitter's short ones."""


def account_pages(text: str) -> list[tuple[int, int]]:
    """Where the addresses of accounts' pages stand in a text: start and end, in order."""
    return [match.span() for match in _PAGE.finditer(text)] if _PERHAPS.search(text) else []
