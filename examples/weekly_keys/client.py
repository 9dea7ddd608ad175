"""Fetch this week's key and ask with it: `ADMIN_SECRET=... python client.py [http://127.0.0.1:8000]`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.request import Request, urlopen

from openai import OpenAI


def current_key(url: str, secret: str) -> dict[str, Any]:
    """Ask for the key of the week. Only who hands keys out does that; clients need no more than the key."""
    with urlopen(Request(f"{url}/current-key", headers={"admin-secret": secret}), timeout=10) as answer:
        return dict(json.load(answer))


def main() -> None:
    url = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    found = current_key(url, os.environ["ADMIN_SECRET"])
    print(f"{found['api_key'][:7]}... is valid for {found['days_remaining']} day(s), until {found['expiry']}")

    # As a program asks; and as an editor does that knows OpenAI's names only and takes the root for the address.
    for base_url, model in ((f"{url}/v1", "smart"), (url, "gpt-3.5-turbo")):
        client = OpenAI(base_url=base_url, api_key=found["api_key"], max_retries=0)
        reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Say hi"}])
        print(f"{model} was answered by {reply.model}: {reply.choices[0].message.content}")


if __name__ == "__main__":
    main()
