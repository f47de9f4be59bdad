"""``make audit``: whether any installed package has a known vulnerability.

1 if one has, unless its number stands with a reason in `ACCEPTED`, or if pip-audit is not installed. Where the advisory
service cannot be reached, a line says so and the result is 0: a machine without a network is no vulnerability.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Any

from benchmarks.command_line import names_and_flags

ACCEPTED: dict[str, str] = {}
"""Why a vulnerability, by its number, does not concern finewave."""
_PATIENCE_S = 300.0


def main() -> int:
    """Ask pip-audit, and print one line for each vulnerability, or one for none."""
    if importlib.util.find_spec("pip_audit") is None:
        print("audit: pip-audit is not installed, nothing is known: pip install -e '.[dev]'")
        return 1
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--format", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        print(f"audit: the advisory service did not answer in {_PATIENCE_S:g} s; nothing is known")
        return 0
    except (ValueError, KeyError):
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        print(f"audit: the advisory service cannot be reached, nothing is known: {last[0][:200]}")
        return 0
    lines, bad = report(packages)
    print("\n".join(lines))
    return int(bad)


def report(packages: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return lines about audited packages, and whether a vulnerability is not accepted."""
    lines, bad = [], False
    for package in packages:
        for found in package.get("vulns", ()):
            names = {found["id"], *found.get("aliases", ())}
            reason = next((ACCEPTED[name] for name in sorted(names) if name in ACCEPTED), None)
            bad |= reason is None
            fixed = ", ".join(found.get("fix_versions", ())) or "no version yet"
            outcome = f"accepted: {reason}" if reason else f"fixed in {fixed}"
            lines.append(f"{package['name']} {package['version']}: {found['id']}: {outcome}")
    unknown = sum("skip_reason" in package for package in packages)
    if packages and unknown == len(packages):
        lines.append(f"audit: the package index has advisories of none of {unknown} packages, nothing is known")
    else:
        known = len(packages) - unknown
        lines.append(f"audit: {known} packages looked up, {unknown} not known to the advisory service")
    return lines, bad


if __name__ == "__main__":
    names_and_flags(__doc__)
    sys.exit(main())
