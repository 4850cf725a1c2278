"""The ledger: every finished trial and every run, in one SQLite file that survives whatever happens to the run.

A trial is known by its *context* (a digest of all that its result depends on besides the instance and the seed: sources, versions,
parameters) and its *subject* (the instance's digest and how it came to be). A block of trials is one transaction, so that a run that
is killed loses at most the blocks in flight, and a trial that is known is not run again. Every row carries a digest of its own:
SQLite does not notice a flipped byte, we do, and compute that row anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theorylab.errors import LedgerError
from theorylab.run.codec import decode, decode_measures, encode, encode_measures, seeds_from_json
from theorylab.run.records import TrialResult

#: Version of the tables. Files of older versions are migrated; one of the next version is read, not written.
VERSION = 4

#: The columns of a run, as `_run_row` takes them.
RUN_QUERY = "SELECT id, started, finished, status, plugin, command, about, document, digest FROM runs"

#: Where a project keeps its ledger, unless it is told otherwise.
DEFAULT = Path(".theorylab") / "ledger.sqlite"

#: Seconds that a writer waits for another run that is writing.
PATIENCE_S = 30.0

MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        "CREATE TABLE runs (id TEXT PRIMARY KEY, started REAL NOT NULL, finished REAL, status TEXT NOT NULL, plugin TEXT NOT NULL,"
        " command TEXT NOT NULL, context TEXT NOT NULL, about TEXT NOT NULL, document TEXT, digest TEXT NOT NULL)",
        "CREATE TABLE trials (context TEXT NOT NULL, subject TEXT NOT NULL, seed INTEGER NOT NULL, claims TEXT NOT NULL,"
        " payload BLOB NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (context, subject, seed)) WITHOUT ROWID",
        "CREATE TABLE instances (digest TEXT PRIMARY KEY, body TEXT NOT NULL, check_digest TEXT NOT NULL)",
    ),
    3: (
        "CREATE TABLE measures (context TEXT NOT NULL, subject TEXT NOT NULL, seed INTEGER NOT NULL, payload BLOB NOT NULL,"
        " digest TEXT NOT NULL, PRIMARY KEY (context, subject, seed)) WITHOUT ROWID",
    ),
    2: ("ALTER TABLE trials ADD COLUMN stored REAL NOT NULL DEFAULT 0",),
    4: (
        "CREATE TABLE findings (id INTEGER PRIMARY KEY, plugin TEXT NOT NULL, kind TEXT NOT NULL, stored REAL NOT NULL,"
        " plugin_source TEXT NOT NULL, command TEXT NOT NULL, document TEXT NOT NULL, digest TEXT NOT NULL)",
    ),
}


@dataclass(frozen=True)
class RunRow:
    """A run as the ledger knows it. status: running, finished or interrupted; about: request, versions, instances."""

    id: str
    started: float
    finished: float | None
    status: str
    plugin: str
    command: str
    about: Mapping[str, Any]
    document: Mapping[str, Any] | None

    @property
    def is_unfinished(self) -> bool:
        """Whether there is something to resume."""
        return self.status != "finished"


@dataclass(frozen=True)
class Finding:
    """What a hunt or an audit found, kept for the reports of later checks."""

    kind: str
    stored: float
    command: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class BadRow:
    """A row whose bytes are not those that were written."""

    table: str
    key: str


class Ledger:
    """An open ledger. `trouble` says why nothing will be kept, if so: then it lives in memory and is forgotten."""

    def __init__(self, path: Path | None, connection: sqlite3.Connection, trouble: str | None = None) -> None:
        self.path, self._db, self.trouble = path, connection, trouble

    # -- opening ----------------------------------------------------------------------------------------------------------

    @staticmethod
    def open(path: Path | None) -> Ledger:
        """The ledger of this file, made if need be; in memory if the file cannot be written. None: in memory, on purpose.

        A file that is no ledger, or is damaged beyond reading, is set aside and a new one begun; `trouble` names both.
        """
        if path is None:
            return Ledger(None, _in_memory())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return Ledger(path, _connect(path))
        except _NewerLedger as newer:
            return Ledger(None, _in_memory(), str(newer))
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                return _set_aside(path, error)
            return Ledger(None, _in_memory(), f"{path} cannot be written ({error}): nothing is kept of this run.")
        except OSError as error:
            return Ledger(
                None, _in_memory(), f"{path} cannot be written ({error.strerror or error}): nothing is kept of this run."
            )

    @staticmethod
    def open_to_read(path: Path) -> Ledger:
        """The ledger as it is, for looking only. Raises LedgerError if there is none or it cannot be read."""
        if not path.is_file():
            raise LedgerError(
                f"{path}: no ledger here. Run `theorylab check PLUGIN` in this folder first, or give --ledger FILE.", 2
            )
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if not 1 <= version <= VERSION + 1:
                raise LedgerError(f"{path} has tables of version {version}, this theorylab reads 1 to {VERSION + 1}.", 2)
            connection.execute("SELECT count(*) FROM runs").fetchone()
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"{path} cannot be read as a ledger: {error}.", 2) from None
        return Ledger(path, connection)

    def close(self) -> None:
        """Done with it."""
        self._db.close()

    # -- trials -----------------------------------------------------------------------------------------------------------

    def lookup(
        self, context: str, subject: str, index: int, seeds: Sequence[int], claims: Sequence[str], *, with_measures: bool = False
    ) -> list[TrialResult]:
        """The trials of a subject that are known for all these claims, as trials of subject number `index`; damaged rows are not.

        with_measures: only those of which the measures are kept too
        """
        wanted, asked, found = set(seeds), set(claims), []
        query = "SELECT seed, claims, payload, digest FROM trials WHERE context = ? AND subject = ? AND seed BETWEEN ? AND ? ORDER BY seed"
        values = (context, subject, min(seeds, default=0), max(seeds, default=-1))
        try:
            if with_measures:
                wanted &= {seed for seed, _ in self.measures_of(context, subject, seeds)}
            for seed, known, payload, digest in self._db.execute(query, values):
                if (
                    seed not in wanted
                    or not asked <= set(known.split())
                    or digest != _row_digest(context, subject, seed, payload)
                ):
                    continue
                try:
                    result = decode(payload, index, seed)
                except ValueError:
                    continue
                kept = {name: result.observations[name] for name in claims}
                found.append(TrialResult(index, seed, kept, digest=result.digest))
        except (sqlite3.DatabaseError, KeyError):  # what cannot be read is not known
            return found
        return found

    def store(self, context: str, rows: Iterable[tuple[str, TrialResult]]) -> int:
        """Keep finished trials of (subject, result), in one transaction; those that failed are tried again next time.

        Raises LedgerError if they could not be written.
        """
        now = time.time()
        values, numbers = [], []
        for subject, result in rows:
            if result.problem is None:
                payload = encode(result)
                digest = _row_digest(context, subject, result.seed, payload)
                if result.measures is not None:
                    body = encode_measures(result.measures)
                    numbers.append((context, subject, result.seed, body, _row_digest(context, subject, result.seed, body)))
                values.append((context, subject, result.seed, " ".join(sorted(result.observations)), payload, digest, now))
        sql = (
            "INSERT OR REPLACE INTO trials (context, subject, seed, claims, payload, digest, stored) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )

        def write() -> None:
            self._db.executemany(sql, values)
            if numbers:
                self._db.executemany("INSERT OR REPLACE INTO measures VALUES (?, ?, ?, ?, ?)", numbers)

        self._write(write)
        return len(values)

    def measures_of(self, context: str, subject: str, seeds: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """(seed, measures) of the trials of a subject whose measures are kept; damaged rows are left out."""
        query = (
            "SELECT seed, payload, digest FROM measures WHERE context = ? AND subject = ? AND seed BETWEEN ? AND ? ORDER BY seed"
        )
        values = (context, subject, min(seeds, default=0), max(seeds, default=-1))
        for seed, payload, digest in self._db.execute(query, values):
            if seed in seeds and digest == _row_digest(context, subject, seed, payload):
                yield seed, decode_measures(payload)

    def forget(self, context: str) -> None:
        """Drop the trials of a context: they are not to be trusted."""

        def write() -> None:
            for table in ("trials", "measures"):
                self._db.execute(f"DELETE FROM {table} WHERE context = ?", (context,))

        self._write(write)

    # -- runs -------------------------------------------------------------------------------------------------------------

    def begin(self, plugin: str, command: str, context: str, about: Mapping[str, Any], instances: Mapping[str, str]) -> str:
        """Note that a run starts; its id. instances: JSON text by digest."""
        started = time.time()
        body = json.dumps(about)
        run = hashlib.sha256(f"{started!r}|{os.getpid()}|{command}".encode()).hexdigest()[:8]
        row = (run, started, None, "running", plugin, command, context, body, None, _text_digest(run, body, ""))

        def write() -> None:
            self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            texts = [(digest, text, _text_digest(digest, text)) for digest, text in instances.items()]
            self._db.executemany("INSERT OR IGNORE INTO instances VALUES (?, ?, ?)", texts)

        self._write(write)
        return run

    def finish(self, run: str, status: str, document: Mapping[str, Any]) -> None:
        """Note how a run ended, with its report."""
        text = json.dumps(document)
        found = self._db.execute("SELECT about FROM runs WHERE id = ?", (run,)).fetchone()
        if found is None:
            raise LedgerError(f"{self.path} no longer knows run {run}: it was replaced while the run went on.")
        (about,) = found
        values = (time.time(), status, text, _text_digest(run, about, text), run)
        self._write(
            lambda: self._db.execute("UPDATE runs SET finished = ?, status = ?, document = ?, digest = ? WHERE id = ?", values)
        )

    def runs(self) -> list[RunRow]:
        """All runs, the latest first; damaged ones are left out."""
        return [row for row in map(_run_row, self._rows(f"{RUN_QUERY} ORDER BY started DESC")) if row is not None]

    def run(self, name: str) -> RunRow:
        """The run with this id, or the only one whose id starts so; `last` is the latest. Raises LedgerError otherwise."""
        ids = [row[0] for row in self._rows("SELECT id FROM runs ORDER BY started DESC")]
        found = ids if name == "last" else [run for run in ids if run.startswith(name)]
        if name == "last" or len(found) == 1:
            for run in found:  # one at a time: a ledger may hold thousands of reports
                for row in map(_run_row, self._rows(f"{RUN_QUERY} WHERE id = ?", (run,))):
                    if row is not None:
                        return row
        if not ids or name == "last":
            raise LedgerError(f"{self.path} holds no run.", 2)
        what = f"{len(found)} runs" if len(found) > 1 else "No run"
        raise LedgerError(
            f"{what} {name!r} in {self.path}. Runs: {', '.join(ids[:8])}{' ...' if len(ids) > 8 else ''}; or 'last'.", 2
        )

    def trials_of(self, row: RunRow) -> Iterator[tuple[str, str, TrialResult]]:
        """(instance label, instance digest, result) of every kept trial of a run, in the order of its plan."""
        for index, subject in enumerate(row.about["subjects"]):
            for seeds in seeds_from_json(subject["seeds"]):
                for start in range(seeds.start, seeds.stop, 1000):
                    part = range(start, min(start + 1000, seeds.stop))
                    for result in self.lookup(row.about["context"], subject["key"], index, part, row.about["claims"]):
                        yield subject["label"], subject["digest"], result

    # -- hunts and audits -------------------------------------------------------------------------------------------------

    def keep_finding(self, plugin: str, kind: str, plugin_source: str, command: str, document: Mapping[str, Any]) -> None:
        """Keep what a hunt or an audit found. Raises LedgerError if it could not be written."""
        text = json.dumps(document)
        row = (plugin, kind, time.time(), plugin_source, command, text, _text_digest(plugin, kind, text))
        sql = "INSERT INTO findings (plugin, kind, stored, plugin_source, command, document, digest) VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._write(lambda: self._db.execute(sql, row))

    def findings(self, plugin: str, kind: str, plugin_source: str) -> list[Finding]:
        """What hunts or audits of these sources found, the latest first; damaged rows are left out, and older ledgers have none."""
        query = "SELECT stored, command, document, digest FROM findings WHERE plugin = ? AND kind = ? AND plugin_source = ? ORDER BY id DESC"
        try:
            rows = self._db.execute(query, (plugin, kind, plugin_source)).fetchall()
        except sqlite3.DatabaseError:
            return []
        return [
            Finding(kind, stored, command, json.loads(document))
            for stored, command, document, digest in rows
            if digest == _text_digest(plugin, kind, document)
        ]

    # -- health -----------------------------------------------------------------------------------------------------------

    def bad_rows(self) -> list[BadRow]:
        """Rows whose digest does not fit: bytes that changed on the disk. They are computed anew when they are asked for."""
        bad = []
        try:
            tables = [name for (name,) in self._rows("SELECT name FROM sqlite_master WHERE name IN ('trials', 'measures')")]
            for table in tables:
                for context, subject, seed, payload, digest in self._rows(
                    f"SELECT context, subject, seed, payload, digest FROM {table}"
                ):
                    if digest != _row_digest(context, subject, seed, payload):
                        bad.append(BadRow(table, f"{subject} seed {seed}"))
            for run, about, document, digest in self._rows("SELECT id, about, document, digest FROM runs"):
                if digest != _text_digest(run, about, document or ""):
                    bad.append(BadRow("runs", str(run)))
            if self._rows("SELECT name FROM sqlite_master WHERE name = 'findings'"):
                for row, plugin, kind, document, digest in self._rows("SELECT id, plugin, kind, document, digest FROM findings"):
                    if digest != _text_digest(plugin, kind, document):
                        bad.append(BadRow("findings", str(row)))
            for digest, body, check in self._rows("SELECT digest, body, check_digest FROM instances"):
                if check != _text_digest(digest, body):
                    bad.append(BadRow("instances", str(digest)))
        except sqlite3.DatabaseError as error:
            bad.append(BadRow("file", str(error)))
        return bad

    def counts(self) -> tuple[int, int]:
        """Runs and trials kept."""
        return (
            int(self._rows("SELECT count(*) FROM runs")[0][0]),
            int(self._rows("SELECT count(*) FROM trials")[0][0]),
        )

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._db.execute(query, values).fetchall()

    def _write(self, change: Callable[[], object]) -> None:
        try:
            with self._db:  # commits, or rolls back
                change()
        except sqlite3.DatabaseError as error:
            if self.path is None or not _is_damage(error):
                raise LedgerError(f"{self.path or 'The ledger'} cannot be written: {error}.") from None
            self._db.close()  # damage inside the file shows only when its pages are touched
            fresh = _set_aside(self.path, error)
            self.path, self._db, self.trouble = fresh.path, fresh._db, fresh.trouble
            self._write(change)


def is_alive(row: RunRow) -> bool:
    """Whether the process of an unfinished run still works on it, as far as can be seen from this machine."""
    if row.status != "running" or row.about.get("host") != platform.node():
        return False
    try:
        os.kill(int(row.about["pid"]), 0)
    except (ProcessLookupError, KeyError, ValueError):
        return False
    except OSError:  # it exists, and is somebody else's
        return True
    return int(row.about["pid"]) != os.getpid()


class _NewerLedger(Exception):
    """The file's tables are newer than ours."""


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    _migrate(connection, 0)
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE_S)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise _NewerLedger(
                f"{path} was written by a newer theorylab (tables of version {version}, ours are {VERSION}): nothing is kept of this run. "
                "Upgrade, or give --ledger another file."
            )
        if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise sqlite3.DatabaseError("file is not a database of theorylab")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # with WAL: a crash of the machine may lose the last blocks, never more
        _migrate(connection, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    if version == VERSION:
        return
    connection.isolation_level = None
    connection.execute("BEGIN IMMEDIATE")  # two runs that open a new file at once: the second one waits, and finds it made
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        for step in range(version + 1, VERSION + 1):
            for statement in MIGRATIONS[step]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.isolation_level = "DEFERRED"


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file's content is at fault, not its place."""
    return any(words in str(error) for words in ("not a database", "malformed", "file is encrypted"))


def _set_aside(path: Path, error: sqlite3.DatabaseError) -> Ledger:
    """Keep the damaged file under another name, begin a new one."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            companion = path.with_name(path.name + suffix)
            if companion.exists():
                companion.rename(aside.with_name(aside.name + suffix))
        connection = _connect(path)
    except (OSError, sqlite3.DatabaseError) as again:
        return Ledger(
            None, _in_memory(), f"{path} is damaged ({error}) and cannot be replaced ({again}): nothing is kept of this run."
        )
    return Ledger(path, connection, f"{path} was damaged ({error}). It is kept as {aside.name}; a new ledger was begun.")


def _row_digest(context: str, subject: str, seed: int, payload: bytes) -> str:
    return hashlib.sha256(f"{context}|{subject}|{seed}|".encode() + payload).hexdigest()[:16]


def _text_digest(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]


def _run_row(row: Sequence[Any]) -> RunRow | None:
    run, started, finished, status, plugin, command, about, document, digest = row
    if digest != _text_digest(run, about, document or ""):
        return None
    return RunRow(run, started, finished, status, plugin, command, json.loads(about), json.loads(document) if document else None)
