"""Do what a letter says, as somebody without a page for it does: by its command line."""

import json
import re
import shlex
from urllib.parse import urlsplit


def posted(letter):
    """Return the path and the body that the command line of a letter sends."""
    (line,) = re.findall(r"^curl .+$", letter.body, re.M)
    _, url, flag, kind, data, body = shlex.split(line)
    assert (flag, kind, data) == ("-H", "Content-Type: application/json", "-d")
    return urlsplit(url).path, json.loads(body)
