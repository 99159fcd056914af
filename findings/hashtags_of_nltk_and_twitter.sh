#!/usr/bin/env bash
# nltk 3.10.4 (Python 3.11) and twitter-text 3.1.0 (Node 20), 2026-11-29
#
# Seen: nltk's TweetTokenizer, made for tweets, and twitter-text, by which Twitter itself finds hashtags, do not find
# the same ones. nltk runs on through hyphens and apostrophes, takes numbers, and what follows a letter, for hashtags,
# and breaks those of one letter into a lone "#" and a word.
#
# Expected: the hashtags that Twitter links, at least for plain English letters.
#
# Why it hurts here: hashtags are the labels. `#covid-19` is a label of its own beside `covid`, every possessive makes a
# rare one that a frequency rule then drops, `#99` and `p#12` become labels that no user set, and records that carry
# Twitter's own list of hashtags cannot be joined with those whose text was tokenized.
#
# Output seen (twitter-text, nltk):
#   new #covid-19 vaccine           [covid]          [covid-19]
#   #GameOfThrones's finale         [GameOfThrones]  [GameOfThrones's]
#   we don't stop #don't_stop       [don]            [don't_stop]
#   #F for the exam                 [F]              []
#   number #99 wins                 []               [99]
#   see p#12b for more              []               [12b]
#   #mufc win                       [mufc]           [mufc]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check nltk==3.10.4
npm install --silent --no-audit --no-fund --no-update-notifier --cache npm-cache twitter-text@3.1.0 > npm.log 2>&1 ||
    { tail -n 1 npm.log >&2; exit 1; }

cat > twitter.js <<'END'
const twitter = require("twitter-text");
const tweets = JSON.parse(require("fs").readFileSync("tweets.json", "utf8"));
console.log(JSON.stringify(tweets.map(twitter.extractHashtags)));
END
env/bin/python - <<'END'
import json
import subprocess
import sys
from pathlib import Path

from nltk.tokenize import TweetTokenizer

TWEETS = {
    "new #covid-19 vaccine": (["covid"], ["covid-19"]),
    "#GameOfThrones's finale": (["GameOfThrones"], ["GameOfThrones's"]),
    "we don't stop #don't_stop": (["don"], ["don't_stop"]),
    "#F for the exam": (["F"], []),
    "number #99 wins": ([], ["99"]),
    "see p#12b for more": ([], ["12b"]),
    "#mufc win": (["mufc"], ["mufc"]),
}
Path("tweets.json").write_text(json.dumps(list(TWEETS)))
by_twitter = json.loads(subprocess.run(["node", "twitter.js"], stdout=subprocess.PIPE, check=True).stdout)
changed = []
for (tweet, expected), twitter in zip(TWEETS.items(), by_twitter):
    nltk = [token[1:] for token in TweetTokenizer().tokenize(tweet) if token.startswith("#") and len(token) > 1]
    print(f"{tweet:31} {'[' + ', '.join(twitter) + ']':16} [{', '.join(nltk)}]")
    if (twitter, nltk) != expected:
        changed.append(tweet)
if changed:
    sys.exit(f"changed: the hashtags of {', '.join(map(repr, changed))}")
END
