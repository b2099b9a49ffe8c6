"""Questions to an API that speaks JSON over HTTPS. Python 3.9 or newer, standard library only; TLS is always verified."""
import json
import urllib.error
import urllib.parse
import urllib.request

from patchwave import Refused

TIMEOUT_SECONDS = 60
# An answer about one host is small; a larger one is a mistake.
ANSWER_BYTES_MAX = 32 * 1024 * 1024


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Credentials go to the address that was written, and to no other."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def ask(method, url, body=None, headers=None, query=None):
    """One question; the answer as read from JSON, or None where there is none. Refused where the API does."""
    return send(method, url, body, headers, query)[1]


def send(method, url, body=None, headers=None, query=None):
    """One question; the headers of the answer, and the answer."""
    full = url + ("?" + urllib.parse.urlencode(query) if query else "")
    data = None if body is None else json.dumps(body).encode("utf-8")
    own = {"Accept": "application/json", **({"Content-Type": "application/json"} if data is not None else {}), **(headers or {})}
    try:
        with OPENER.open(urllib.request.Request(full, data, own, method=method), timeout=TIMEOUT_SECONDS) as answer:
            fields, text = answer.headers, answer.read(ANSWER_BYTES_MAX)
    except urllib.error.HTTPError as error:
        raise Refused(f"{method} {url}: {error.code} {error.read(400).decode('utf-8', 'replace')}") from error
    return fields, json.loads(text) if text.strip() else None
