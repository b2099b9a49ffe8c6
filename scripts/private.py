#!/usr/bin/env python3
"""Ends with 1 unless the forge confirms that the repository is private.

Plans, findings and logs name machines and their open vulnerabilities. Set the variable PATCHWAVE_PUBLIC to `yes` where
that is meant to be public.

Environment: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, PATCHWAVE_PUBLIC.
"""

import json
import os
import sys
import urllib.request

if os.environ.get("PATCHWAVE_PUBLIC") == "yes":
    print("PATCHWAVE_PUBLIC is yes: findings are published whoever can read this repository")
    sys.exit(0)
address = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}"
headers = {"Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
try:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30) as answer:
        private = json.loads(answer.read(1 << 20)).get("private")
except (OSError, ValueError) as fault:
    print(f"::error title=Visibility unknown::{address} did not say whether the repository is private: {fault}")
    sys.exit(1)
if private is not True:
    print("::error title=Public repository::findings are confidential: make the repository private, or set the variable PATCHWAVE_PUBLIC to `yes`")
    sys.exit(1)
