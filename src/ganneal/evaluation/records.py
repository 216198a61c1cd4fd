"""Measured values for a person, and in the file that keeps them."""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ganneal.metrics.protocol import MetricProtocol, Record
from ganneal.storage.atomic import write_bytes


def records_as_text(records: Sequence[Record]) -> str:
    """The records as aligned text, one checkpoint after the other."""
    # Over all checkpoints, so that their values stand below each other.
    width = max(len(record.name) for record in records)
    lines = []
    for checkpoint in dict.fromkeys(record.place.checkpoint for record in records):
        own = [record for record in records if record.place.checkpoint == checkpoint]
        if checkpoint is not None:
            how = _how(own[0].protocol)
            called = checkpoint if checkpoint in ("last", "best") else "snapshot's"
            lines.append(f"{called} weights{how}, {own[0].place.num_real or 0:,} real images seen")
        lines += [f"  {record.name:<{width}}  {_value(record)}" for record in own]
    return "\n".join(lines)


def _how(protocol: MetricProtocol) -> str:
    """The settings of sampling that are not the usual ones, in words."""
    pushed = {"pushed": ", pushed", "raw": ", not averaged"}.get(protocol.sampler, "")
    statistics = f", {protocol.statistics} statistics" if protocol.statistics not in (None, "running") else ""
    cut = "" if protocol.truncation is None else f", truncation {protocol.truncation:g} ({protocol.truncation_form})"
    classes = ", uniform classes" if protocol.classes == "uniform" else ""
    return pushed + statistics + cut + classes


def _value(record: Record) -> str:
    spread = ""
    if record.interval is not None:
        spread = f"  [{record.interval[0]:.4g}, {record.interval[1]:.4g}] over {len(record.values)} evaluation seeds"
    elif record.standard_error is not None:
        spread = f"  (standard error {record.standard_error:.2g})"
    floor = record.extra.get("between_halves_of_real")
    expected = record.extra.get("expected")
    spread += "" if expected is None else f"  ({expected:.3g} expected of a perfect generator)"
    spread += "" if floor is None else f"  ({floor:.3g} between halves of the real samples)"
    said = f"  {', '.join(record.warnings)}" if record.warnings else ""
    return f"{record.value:<9.4g} {record.better} is better{spread}{said}"


def keep_records(records: Sequence[Record], path: Path) -> None:
    """Add the records to those of the file, in place of earlier ones of the same checkpoint and protocol."""
    # What is measured again replaces what was measured before, and everything else in the file stays.
    new = {_key(record.as_dict()): record.line() for record in records}
    kept = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            old = _key(json.loads(line.decode()))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is damaged ({error}); move it away to write a new one.") from error
        if old not in new:
            kept.append(line.decode())
    write_bytes(path, "".join(f"{line}\n" for line in (*kept, *new.values())).encode())


def _key(line: dict[str, Any]) -> tuple[str, ...]:
    """Key of a value: its name, its checkpoint and the whole protocol."""
    # All of the protocol, as a resize or another setting of a metric leaves its name the same.
    protocol = {field.name: line.get(field.name) for field in fields(MetricProtocol)}
    # The same data under another name or place are the same.
    protocol["reference"] = (line.get("reference") or {}).get("sha256")
    return line["name"], str(line["checkpoint"]), json.dumps(protocol, sort_keys=True)
