"""Judges a sandbox, seeded with examples/sandbox.yaml, by Amigo's API document.

Runs schemathesis on the operations that standard input lists (`METHOD /path`, one a line) and names every difference
between document and sandbox in one line. Each must match an explanation, and each explanation must match a difference.
"""

import base64
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections import Counter
from pathlib import Path

SIGN_IN = {
    "x-api-key": "sandbox-api-key",
    "x-api-key-id": "5b1d7c1e-0c55-4c0f-9a57-7f2f0e3c9b11",
    "x-user-id": "user-operator-0001",
}
EXAMPLES = 200
# What the document says nothing of: a user's objects of another user, and deleted objects at once.
NOT_CHECKED = "object_level_authorization,use_after_free,ensure_resource_availability"


def subset(document, operations):
    """The document with only these operations; the rest of it describes other parts of Amigo."""
    wanted = {tuple(line.split()) for line in operations}
    found = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if (method.upper(), path) in wanted
    }
    if found != wanted:
        sys.exit(f"the API document lacks operations of the sandbox: {sorted(wanted - found)}")
    paths = {}
    for method, path in sorted(found):
        operation = document["paths"][path][method.lower()]
        paths.setdefault(path, {})[method.lower()] = {**operation, "parameters": parameters(operation)}
    return {**document, "paths": paths, "security": [{"Bearer-Authorization": []}]}


def parameters(operation):
    """The parameters, with the one organization that the sandbox has in place of any."""
    given = operation.get("parameters", [])
    organization = {"type": "string", "enum": ["acme"]}
    return [{**one, "schema": organization} if one["name"] == "organization" else one for one in given]


def token(base_url):
    request = urllib.request.Request(f"{base_url}/v1/acme/user/signin_with_api_key", method="POST", headers=SIGN_IN)
    with urllib.request.urlopen(request) as response:
        return json.load(response)["id_token"]


def run(base_url, document, folder):
    """Runs schemathesis; returns its summary and its events."""
    (folder / "document.json").write_text(json.dumps(document))
    command = [
        *(Path(sys.executable).parent / "st", "run", "document.json", "--url", base_url, "--no-color"),
        *("--header", f"Authorization: Bearer {token(base_url)}"),
        *("--generation-deterministic", "--max-examples", str(EXAMPLES), "--continue-on-failure", "--no-shrink"),
        *("--exclude-checks", NOT_CHECKED, "--suppress-health-check", "all", "--warnings", "off"),
        *("--report", "json,ndjson", "--report-json-path", "summary.json", "--report-ndjson-path", "events.ndjson"),
    ]
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if not (folder / "summary.json").exists():
        sys.exit(f"schemathesis failed:\n{outcome.stdout}{outcome.stderr}")
    with (folder / "events.ndjson").open() as events:
        return json.loads((folder / "summary.json").read_text()), [json.loads(line) for line in events]


def differences(events):
    """Each difference as one line, with the number of cases that showed it and one example of their input."""
    counts, examples = Counter(), {}
    for event in events:
        recorder = event.get("ScenarioFinished", {}).get("recorder", {})
        for case, checks in recorder.get("checks", {}).items():
            response = (recorder["interactions"].get(case) or {}).get("response") or {}
            for check in checks:
                if check["status"] == "failure":
                    described = describe(check["failure_info"]["failure"], response)
                    counts.update(described.keys())
                    examples |= described
    return {line: (count, examples[line]) for line, count in sorted(counts.items())}


def describe(failure, response):
    """The differences of one failed check, with their input."""
    operation, message = failure["operation"], " ".join(failure["message"].split())
    if failure["type"] == "RejectedPositiveData":
        return {f"{operation}: rejects {problem}": given for problem, given in problems(response).items()}
    if failure["type"] == "AcceptedNegativeData":
        return {f"{operation}: accepts {re.split('Invalid components?: *', message)[-1]}": None}
    return {f"{operation}: {failure['title']}: {message[:200]}": None}


def problems(response):
    """What a 422 objects to, with its input."""
    body = base64.b64decode((response.get("content") or {}).get("$base64", ""))
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    if not isinstance(detail, list):
        return {f"with status {response.get('status_code')}": None}
    return {f"{one['type']} at {'.'.join(map(plain, one['loc']))}": one["input"] for one in detail}


def plain(part):
    """A part of a location; an index, or a name that schemathesis made up, is a star."""
    return part if isinstance(part, str) and re.fullmatch(r"[a-z_]+|\[key\]", part) else "*"


def judge(found, explanations):
    """Prints every difference, explained or not; returns the number of faults."""
    used, faults = set(), 0
    for line, (count, example) in found.items():
        matching = [number for number, one in enumerate(explanations) if re.fullmatch(one["difference"], line, re.S)]
        used.update(matching)
        faults += not matching
        verdict = "explained" if matching else "UNEXPLAINED"
        print(f"{verdict} ({count} cases)  {line}  {json.dumps(example)[:100]}")
    for number, one in enumerate(explanations):
        if number not in used:
            faults += 1
            print(f"NO LONGER SEEN  {one['difference']}: remove it from explained.toml")
    return faults


def main(base_url, document, explained):
    explanations = tomllib.loads(Path(explained).read_text()).get("explained", [])
    assert all(one["reason"].strip() for one in explanations), "every explanation needs a reason"
    operations = [line for line in sys.stdin.read().splitlines() if line]
    with tempfile.TemporaryDirectory() as folder:
        summary, events = run(base_url, subset(json.loads(Path(document).read_text()), operations), Path(folder))
    found = differences(events)
    faults = judge(found, explanations) + len(summary["errors"])
    for error in summary["errors"]:
        print(f"ERROR  {error['title']}")
    tested, cases = summary["operations"]["tested"], summary["test_cases"]["generated"]
    print(f"{cases} cases, {tested} operations: {len(found)} differences, {len(explanations)} explanations, {faults} faults")
    sys.exit(1 if faults or tested != len(operations) else 0)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: schema.py BASE_URL DOCUMENT EXPLAINED < OPERATIONS")
    main(*sys.argv[1:])
