#!/usr/bin/env python3
"""Posts the plan that an unprivileged run has computed as one comment of its pull request, edited in place.

The run may be of a fork: everything in its artifact is data from a stranger. It is bounded in size, never unpacked to
disk, never executed; its pull request must be the one GitHub knows for the commit of that run; and its Markdown is made
inert (no HTML, links, pictures, mentions or references) before it is said in the name of this repository.

Environment: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, RUN_ID, HEAD_SHA, HEAD_REPOSITORY (all of the triggering
run, as GitHub gives them), COMMENT_LOGIN (the account that comments; default github-actions[bot]).
"""

import html
import io
import json
import os
import re
import sys
import urllib.error
import urllib.request
import zipfile

ARTIFACT = "patchwave-plan"
MARKER = "<!-- patchwave:plan -->"
# GitHub takes 65,536 characters in a comment; the rest is for the frame around the plan.
TEXT_MAX = 60_000
ARCHIVE_MAX = 1 << 20
NUMBER_MAX = 16
PAGES_MAX = 50
# What an entity may still stand for: characters that are themselves harmless once Markdown was read.
SAFE = ("amp", "lt", "gt", "quot")
# Invisible and without meaning in Markdown: it parts what would be read together.
BREAK = "\u200b"


class Refused(Exception):
    """Why nothing is posted."""


class NoCredentialsElsewhere(urllib.request.HTTPRedirectHandler):
    """The store that an artifact is redirected to is another host, and must not see the token."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and new.host != req.host:
            new.remove_header("Authorization")
        return new


OPENER = urllib.request.build_opener(NoCredentialsElsewhere)


def call(method, path, body=None, limit=8 << 20):
    """One call of the API; the bytes of its answer, at most `limit`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["GITHUB_API_URL"] + path, data=data, method=method)
    request.add_header("Authorization", f"Bearer {os.environ['GITHUB_TOKEN']}")
    request.add_header("Accept", "application/vnd.github+json")
    request.add_header("X-GitHub-Api-Version", "2022-11-28")
    with OPENER.open(request, timeout=60) as answer:
        found = answer.read(limit + 1)
    if len(found) > limit:
        raise Refused(f"{path} answered with more than {limit} bytes")
    return found


def ask(method, path, body=None):
    return json.loads(call(method, path, body))


def artifact(repository, run):
    """The members of the run's artifact: `plan.md` and `number`, as text."""
    listed = ask("GET", f"/repos/{repository}/actions/runs/{run}/artifacts?per_page=100")
    found = [a for a in listed["artifacts"] if a["name"] == ARTIFACT and not a["expired"]]
    if len(found) != 1:
        raise Refused(f"the run has {len(found)} artifacts `{ARTIFACT}`, not one")
    if found[0]["size_in_bytes"] > ARCHIVE_MAX:
        raise Refused(f"the artifact has {found[0]['size_in_bytes']} bytes, more than {ARCHIVE_MAX}")
    number = int(found[0]["id"])
    packed = call("GET", f"/repos/{repository}/actions/artifacts/{number}/zip", limit=ARCHIVE_MAX)
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            return [member(archive, "plan.md", 4 * TEXT_MAX), member(archive, "number", NUMBER_MAX)]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as fault:
        raise Refused(f"the artifact is no archive: {fault}") from fault


def member(archive, name, limit):
    """A file of an archive, never more than `limit` bytes of it whatever its header promises."""
    try:
        with archive.open(name) as file:
            return file.read(limit).decode("utf-8", "replace")
    except KeyError:
        raise Refused(f"the artifact has no `{name}`") from None


def pull_request(repository, text, sha, fork):
    """The pull request the artifact names, if GitHub says that the run was one of its head."""
    if not re.fullmatch(r"[1-9][0-9]{0,9}\n?", text):
        raise Refused("`number` is no number")
    number = int(text)
    pull = ask("GET", f"/repos/{repository}/pulls/{number}")
    head, base = pull["head"], pull["base"]
    if base["repo"]["full_name"] != repository or (head["repo"] or {}).get("full_name") != fork:
        raise Refused(f"#{number} is not a pull request from {fork}")
    if pull["state"] != "open" or head["sha"] != sha:
        raise Refused(f"#{number} is closed or has moved on from {sha}: the next run comments")
    return number


# What may stand before a fence on its line: blanks, quotes, items of lists.
BLOCKS = r"(?:[ >\t]|[-*+][ \t]|[0-9]{1,9}[.)][ \t])*"


def inert(text):
    """The same words and tables, unable to be anything but words and tables."""
    # Entities first: `&commat;` is a mention for whoever reads the page, so it must meet the rules for `@` below. What
    # looks like one afterwards was made of another (`&#38;commat;`), and is none any more.
    text = re.sub(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});", spoken, text)
    text = re.sub(rf"&(?!({'|'.join(SAFE)});)", f"&{BREAK}", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    # No control characters, and none that change the direction of what follows.
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", "\ufffd", text)
    # A fence stays a fence, but names no language: some are drawn (mermaid, math, geojson).
    text = re.sub(rf"(?m)^({BLOCKS})(`{{3,}}(?=[^`\n]*$)|~{{3,}})[^\n]*$", r"\1\2", text)
    for whole, parts in [("<", ("<", "")), ("](", ("]", "(")), ("]:", ("]", ":")), ("][", ("]", "[")), ("![", ("!", "[")), ("[!", ("[", "!"))]:
        text = text.replace(whole, BREAK.join(parts))
    # A backslash hides from the rules below what the reader of Markdown puts together again.
    text = re.sub(r"\\(?=[:.-])", rf"\\{BREAK}", text)
    # Wherever they stand: an underscore or a letter before one is no boundary of a word, and yet begins a link.
    text = re.sub(r"(?i)(https?|ftp|mailto|xmpp):", rf"\1{BREAK}:", text)
    text = re.sub(r"(?i)(www)\.", rf"\1{BREAK}.", text)
    text = text.replace("@", f"@{BREAK}").replace("$", f"${BREAK}")
    return re.sub(r"(?i)(#|GH-)(?=[0-9])", rf"\1{BREAK}", text)


def spoken(entity):
    """What an entity stands for; one that cannot do harm stays, so that escaped text reads as it was meant."""
    return entity[0] if entity[1] in SAFE else html.unescape(entity[0])


def shortened(text):
    """At most TEXT_MAX characters, by whole lines, with no fence left open."""
    lines, length = [], 0
    for line in text.splitlines():
        length += len(line) + 1
        if length > TEXT_MAX:
            if sum(re.match(rf"{BLOCKS}(`{{3,}}|~{{3,}})", known) is not None for known in lines) % 2:
                lines.append("```")
            lines += ["", "_The plan is longer than a comment: the log of the run has all of it._"]
            break
        lines.append(line)
    return "\n".join(lines)


def body(plan, sha, stranger):
    by = " It was computed from files of a fork, which nobody here has reviewed." if stranger else ""
    return f"{MARKER}\n{shortened(inert(plan))}\n\n---\nWhat this pull request would change, at {sha[:12]}.{by}\n"


def own_comment(repository, number):
    """Our own comment, if there is one. One of anybody else is never edited, whatever it says."""
    login = os.environ.get("COMMENT_LOGIN") or "github-actions[bot]"
    for page in range(1, PAGES_MAX + 1):
        comments = ask("GET", f"/repos/{repository}/issues/{number}/comments?per_page=100&page={page}")
        for comment in comments:
            if (comment["user"] or {}).get("login") == login and comment["body"].startswith(MARKER):
                return comment
        if len(comments) < 100:
            return None
    return None


def run():
    repository, sha, fork = (os.environ[name] for name in ("GITHUB_REPOSITORY", "HEAD_SHA", "HEAD_REPOSITORY"))
    if not re.fullmatch(r"[0-9a-f]{40,64}", sha) or not re.fullmatch(r"[0-9]+", os.environ["RUN_ID"]):
        raise Refused("HEAD_SHA and RUN_ID must be those of the triggering run")
    plan, number = artifact(repository, os.environ["RUN_ID"])
    number = pull_request(repository, number, sha, fork)
    wanted = body(plan, sha, fork != repository)
    known = own_comment(repository, number)
    if known is None:
        ask("POST", f"/repos/{repository}/issues/{number}/comments", {"body": wanted})
        print(f"commented on #{number}")
    elif known["body"] != wanted:
        ask("PATCH", f"/repos/{repository}/issues/comments/{int(known['id'])}", {"body": wanted})
        print(f"edited the comment on #{number}")
    else:
        print(f"the comment on #{number} says so already")


if __name__ == "__main__":
    try:
        run()
    except Refused as why:
        print(f"::warning title=No comment::{why}")
    except (OSError, ValueError, KeyError, TypeError) as fault:
        print(f"::error title=No comment::{type(fault).__name__}: {fault}")
        sys.exit(1)
